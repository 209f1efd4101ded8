"""Who is measured, and how each is set up: as its documentation says, with its defaults, and with the address of the
sink in place of its own server's.

Each logs the message ``order placed`` and five fields: ``order_id`` (a whole number, by which the sink knows the
record), ``customer``, ``amount``, ``currency``, ``express``. Nothing is imported before it is needed: a process
measures one contestant.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import queue
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Place:
    """Where a contestant sends or writes to."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The address of the sink."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def file(self) -> Path:
        """The file of those that write one."""
        return self.folder / "records.jsonl"


def _nothing() -> None: ...


@dataclass(frozen=True)
class Started:
    """A library that is ready: how it logs one record, how it is asked to deliver what it has, and how it is ended
    by a program that does so."""

    log: Callable[[int], None]
    flush: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing


@dataclass(frozen=True)
class Contestant:
    """One row of the tables."""

    title: str
    start: Callable[[Place], Started]
    #: ``ours``, ``peer`` that sends, ``file`` that writes to one, or ``none``.
    kind: str
    #: How many calls are measured; fewer where one takes a millisecond.
    calls: int = 100_000
    #: Modules without which it can't be measured.
    needs: tuple[str, ...] = ()

    @property
    def sends(self) -> bool:
        """Whether it talks to the sink."""
        return self.kind in ("ours", "peer")

    @property
    def available(self) -> bool:
        """Whether its modules are installed."""
        return all(_found(name) for name in self.needs)


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


# What no library is part of.


def _stopwatch(_place: Place) -> Started:
    return Started(lambda number: None)


# Ours.


def _init_millpond(place: Place) -> Any:
    import millpond

    millpond.init(service="bench", endpoint=place.url, api_key="bench")
    return millpond


def _millpond(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info

    def log(number: int) -> None:
        info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_spool(place: Place) -> Started:
    os.environ["MILLPOND_SPOOL_DIR"] = str(place.folder / "spool")
    return _millpond(place)


def _millpond_context(place: Place) -> Started:
    millpond = _init_millpond(place)
    millpond.context(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", request_id="r-1").__enter__()
    info = millpond.get_logger("bench").bind(region="eu", shop="s-1").info

    def log(number: int) -> None:
        info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_message(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info
    return Started(lambda number: info("order placed"), lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_nested(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info

    def log(number: int) -> None:
        info("order placed", order={"id": number, "lines": [{"sku": "a", "count": 2}, {"sku": "b", "count": 1}]})

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_stdlib(place: Place) -> Started:
    millpond = _init_millpond(place)
    return Started(_stdlib_log(millpond.Handler()), lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_structlog(place: Place) -> Started:
    millpond = _init_millpond(place)
    import structlog

    # Its own way of being set up; see docs/python/structlog.md.
    importlib.import_module("millpond.structlog").configure()
    info = structlog.get_logger("bench").info

    def log(number: int) -> None:
        info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


def _millpond_loguru(place: Place) -> Started:
    millpond = _init_millpond(place)
    from loguru import logger

    logger.remove()
    logger.add(importlib.import_module("millpond.loguru").Sink())

    def log(number: int) -> None:
        logger.info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


# Peers that send.


def _logtide(place: Place) -> Started:
    from logtide_sdk import ClientOptions, LogTideClient

    client = LogTideClient(ClientOptions(api_url=place.url, api_key="lp_bench"))

    def log(number: int) -> None:
        client.info(
            "bench",
            "order placed",
            {"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return Started(log, client.flush, client.close)


def _timberlogs(place: Place) -> Started:
    import timberlogs.client
    from timberlogs import create_timberlogs

    # The address is a constant of the module.
    timberlogs.client.LOGS_ENDPOINT = f"{place.url}/v1/logs"
    client = create_timberlogs(source="bench", environment="production", api_key="tb_live_bench")

    def log(number: int) -> None:
        client.info(
            "order placed",
            {"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return Started(log, client.flush, client.disconnect)


def _print_nothing() -> None:
    """For libraries that print what they send: to a terminal, or to a file, would cost them more."""
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives


#: Records of one request. logiscout sends nothing outside of requests.
_REQUEST_RECORDS = 10


def _logiscout(place: Place) -> Started:
    _print_nothing()
    import logiscout_logger.logger as own
    from logiscout_logger import buffer as requests

    # The address is a constant of the module.
    own._ENDPOINT_URL = f"{place.url}/ingest"
    own.init(api_token="lgs_bench", service_name="bench", env=own.PROD)
    manager = own.get_batch_manager()
    info = own.get_logger("bench").info

    def end() -> None:
        requests.set_access_log_data("GET", "/", 200, 1.0)
        payload = requests.flush_buffer()
        if payload is not None:
            manager.add_payload(payload)

    def log(number: int) -> None:
        # As its middleware does around each request.
        request = requests.get_current_buffer()
        if request is None:
            requests.initialize_buffer(str(number))
            requests.start_buffer()
        info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)
        if request is not None and len(request["logs"]) >= _REQUEST_RECORDS:
            end()

    def flush() -> None:
        end()
        manager.flush()

    def close() -> None:
        end()
        manager.shutdown()

    return Started(log, flush, close)


def _streamlogia(batch_size: int) -> Callable[[Place], Started]:
    def start(place: Place) -> Started:
        _print_nothing()
        import streamlogia

        client = streamlogia.LogIngestorClient("bench", "bench", base_url=place.url, batch_size=batch_size)

        def log(number: int) -> None:
            client.info(
                "order placed",
                meta={"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
            )

        def flush() -> None:
            client.flush()
            for thread in list(client._inflight):
                thread.join()

        return Started(log, flush, client.close)

    return start


def _opentelemetry_provider(place: Place) -> Any:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{place.url}/v1/logs")))
    return provider


def _opentelemetry(place: Place) -> Started:
    from opentelemetry._logs import LogRecord, SeverityNumber

    provider = _opentelemetry_provider(place)
    emit = provider.get_logger("bench").emit

    def log(number: int) -> None:
        emit(
            LogRecord(
                timestamp=time.time_ns(),
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body="order placed",
                attributes={
                    "order_id": number,
                    "customer": "c-1234",
                    "amount": 19.99,
                    "currency": "EUR",
                    "express": True,
                },
            )
        )

    return Started(log, provider.force_flush, provider.shutdown)


def _opentelemetry_stdlib(place: Place) -> Started:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    provider = _opentelemetry_provider(place)
    return Started(_stdlib_log(LoggingHandler(logger_provider=provider)), provider.force_flush, provider.shutdown)


def _sentry(place: Place) -> Started:
    import sentry_sdk
    from sentry_sdk import logger

    sentry_sdk.init(dsn=f"http://bench@127.0.0.1:{place.port}/1", enable_logs=True)

    def log(number: int) -> None:
        logger.info(
            "order placed",
            attributes={"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return Started(log, lambda: sentry_sdk.flush(30), lambda: sentry_sdk.get_client().close(30))


# Peers that write to a file.


def _structlog(start_file: Callable[[Path], Any], renderer: Callable[[], Any]) -> Callable[[Place], Started]:
    def start(place: Place) -> Started:
        import structlog

        structlog.configure(
            cache_logger_on_first_use=True,
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.format_exc_info,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                renderer(),
            ],
            logger_factory=start_file(place.file),
        )
        log_info = structlog.get_logger().info

        def log(number: int) -> None:
            log_info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

        return Started(log)

    return start


def _structlog_text_file(path: Path) -> Any:
    import structlog

    return structlog.WriteLoggerFactory(file=path.open("a"))


def _structlog_bytes_file(path: Path) -> Any:
    import structlog

    return structlog.BytesLoggerFactory(file=path.open("ab"))


def _structlog_json() -> Any:
    import structlog

    return structlog.processors.JSONRenderer()


def _structlog_orjson() -> Any:
    import orjson
    import structlog

    return structlog.processors.JSONRenderer(serializer=orjson.dumps)


def _loguru(enqueue: bool) -> Callable[[Place], Started]:
    def start(place: Place) -> Started:
        from loguru import logger

        logger.remove()
        logger.add(str(place.file), serialize=True, enqueue=enqueue)

        def log(number: int) -> None:
            logger.info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

        return Started(log, logger.complete, logger.complete)

    return start


def _picologging(place: Place) -> Started:
    import picologging

    class Json(picologging.Formatter):
        """Its records take no ``extra``: the fields are the one argument."""

        def format(self, record: Any) -> str:
            said = {"time": record.created, "level": record.levelname, "message": record.msg, "logger": record.name}
            return json.dumps({**said, **record.args})

    handler = picologging.FileHandler(str(place.file))
    handler.setFormatter(Json())
    logger = picologging.getLogger("bench")
    logger.setLevel(picologging.INFO)
    logger.addHandler(handler)
    info = logger.info

    def log(number: int) -> None:
        info(
            "order placed",
            {"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return Started(log)


def _stdlib_log(handler: logging.Handler) -> Callable[[int], None]:
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    info = logger.info

    def log(number: int) -> None:
        info(
            "order placed",
            extra={"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return log


class _SmallJson(logging.Formatter):
    """As many a program has one."""

    _own = frozenset(logging.makeLogRecord({}).__dict__) | {"taskName"}

    def format(self, record: logging.LogRecord) -> str:
        said = {"time": record.created, "level": record.levelname, "message": record.getMessage(), "name": record.name}
        more = {name: value for name, value in record.__dict__.items() if name not in self._own}
        return json.dumps({**said, **more}, default=str)


def _json_logger() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter("{asctime}{levelname}{name}{message}", style="{")


def _stdlib_file(formatter: Callable[[], logging.Formatter]) -> Callable[[Place], Started]:
    def start(place: Place) -> Started:
        handler = logging.FileHandler(place.file)
        handler.setFormatter(formatter())
        return Started(_stdlib_log(handler))

    return start


def _stdlib_queue(place: Place) -> Started:
    from logging.handlers import QueueHandler, QueueListener

    handler = logging.FileHandler(place.file)
    handler.setFormatter(_json_logger())
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = QueueListener(waiting, handler)
    listener.start()

    def flush() -> None:
        while not waiting.empty():
            time.sleep(0.001)

    return Started(_stdlib_log(QueueHandler(waiting)), flush, listener.stop)


CONTESTANTS: dict[str, Contestant] = {
    "nothing": Contestant("nothing (the stopwatch)", _stopwatch, "none"),
    "millpond": Contestant("millpond", _millpond, "ours"),
    "millpond-context": Contestant("millpond, two bound and two context attributes more", _millpond_context, "ours"),
    "millpond-spool": Contestant("millpond with a spool", _millpond_spool, "ours"),
    "millpond-stdlib": Contestant("millpond, stdlib handler", _millpond_stdlib, "ours"),
    "millpond-structlog": Contestant("millpond, structlog", _millpond_structlog, "ours", needs=("millpond.structlog",)),
    "millpond-loguru": Contestant("millpond, loguru", _millpond_loguru, "ours", needs=("millpond.loguru",)),
    "logtide": Contestant("logtide-sdk", _logtide, "peer", needs=("logtide_sdk",)),
    "timberlogs": Contestant("timberlogs-client", _timberlogs, "peer", needs=("timberlogs",)),
    "logiscout": Contestant("logiscout-logger, in requests", _logiscout, "peer", needs=("logiscout_logger",)),
    "streamlogia": Contestant("streamlogia", _streamlogia(1), "peer", calls=5_000, needs=("streamlogia",)),
    "streamlogia-100": Contestant("streamlogia, batches of 100", _streamlogia(100), "peer", needs=("streamlogia",)),
    "opentelemetry": Contestant("opentelemetry-sdk, OTLP/HTTP", _opentelemetry, "peer"),
    "opentelemetry-stdlib": Contestant("opentelemetry-sdk, OTLP/HTTP, stdlib handler", _opentelemetry_stdlib, "peer"),
    "sentry": Contestant("sentry-sdk, logs", _sentry, "peer", needs=("sentry_sdk",)),
    "structlog": Contestant("structlog, JSON file", _structlog(_structlog_text_file, _structlog_json), "file"),
    "structlog-orjson": Contestant(
        "structlog, orjson, file", _structlog(_structlog_bytes_file, _structlog_orjson), "file", needs=("orjson",)
    ),
    "loguru": Contestant("loguru, serialized, file", _loguru(False), "file", needs=("loguru",)),
    "loguru-enqueue": Contestant("loguru, serialized, enqueued, file", _loguru(True), "file", needs=("loguru",)),
    "picologging": Contestant("picologging, JSON file", _picologging, "file", needs=("picologging",)),
    "stdlib": Contestant("stdlib, small JSON formatter, file", _stdlib_file(_SmallJson), "file"),
    "stdlib-json-logger": Contestant("stdlib, python-json-logger, file", _stdlib_file(_json_logger), "file"),
    "stdlib-queue": Contestant("stdlib QueueHandler, python-json-logger, file", _stdlib_queue, "file"),
}

#: Only what a quick look asks for.
QUICK: dict[str, Contestant] = {
    "nothing": CONTESTANTS["nothing"],
    "millpond-message": Contestant("message", _millpond_message, "ours"),
    "millpond": Contestant("message, 5 fields", _millpond, "ours"),
    "millpond-context": Contestant("message, 5 fields, 2 bound, 2 context", _millpond_context, "ours"),
    "millpond-nested": Contestant("message, nested field", _millpond_nested, "ours"),
    "millpond-stdlib": Contestant("stdlib handler, 5 extra", _millpond_stdlib, "ours"),
    "millpond-structlog": CONTESTANTS["millpond-structlog"],
}

#: What is named with its version.
LIBRARIES = (
    "millpond",
    "logtide-sdk",
    "timberlogs-client",
    "logiscout-logger",
    "streamlogia",
    "opentelemetry-sdk",
    "opentelemetry-exporter-otlp-proto-http",
    "sentry-sdk",
    "structlog",
    "orjson",
    "loguru",
    "picologging",
    "python-json-logger",
)
