"""The other libraries, each as its documentation sets it up, with its defaults, and with the address of the sink in
place of its own server's. Nothing is imported before it is needed."""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from place import Place, Started, by_keywords, stdlib_log

# Peers that send.


def logtide(place: Place) -> Started:
    from logtide_sdk import ClientOptions, LogTideClient

    client = LogTideClient(ClientOptions(api_url=place.url, api_key="lp_bench"))

    def log(number: int) -> None:
        client.info(
            "bench",
            "order placed",
            {"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return Started(log, client.flush, client.close)


def timberlogs(place: Place) -> Started:
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


def logiscout(place: Place) -> Started:
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


def streamlogia(batch_size: int) -> Callable[[Place], Started]:
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


def opentelemetry(place: Place) -> Started:
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


def opentelemetry_stdlib(place: Place) -> Started:
    from opentelemetry.instrumentation.logging.handler import LoggingHandler

    provider = _opentelemetry_provider(place)
    return Started(stdlib_log(LoggingHandler(logger_provider=provider)), provider.force_flush, provider.shutdown)


def sentry(place: Place) -> Started:
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


def structlog(start_file: Callable[[Path], Any], renderer: Callable[[], Any]) -> Callable[[Place], Started]:
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

        return Started(by_keywords(log_info))

    return start


def structlog_text_file(path: Path) -> Any:
    import structlog

    return structlog.WriteLoggerFactory(file=path.open("a"))


def structlog_bytes_file(path: Path) -> Any:
    import structlog

    return structlog.BytesLoggerFactory(file=path.open("ab"))


def structlog_json() -> Any:
    import structlog

    return structlog.processors.JSONRenderer()


def structlog_orjson() -> Any:
    import orjson
    import structlog

    return structlog.processors.JSONRenderer(serializer=orjson.dumps)


def loguru(place: Place) -> Started:
    from loguru import logger

    logger.remove()
    logger.add(str(place.file), serialize=True)

    return Started(by_keywords(logger.info), logger.complete, logger.complete)


def picologging(place: Place) -> Started:
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


class SmallJson(logging.Formatter):
    """As many a program has one."""

    _own = frozenset(logging.makeLogRecord({}).__dict__) | {"taskName"}

    def format(self, record: logging.LogRecord) -> str:
        said = {"time": record.created, "level": record.levelname, "message": record.getMessage(), "name": record.name}
        more = {name: value for name, value in record.__dict__.items() if name not in self._own}
        return json.dumps({**said, **more}, default=str)


def json_logger() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    return JsonFormatter("{asctime}{levelname}{name}{message}", style="{")


def stdlib_file(formatter: Callable[[], logging.Formatter]) -> Callable[[Place], Started]:
    def start(place: Place) -> Started:
        handler = logging.FileHandler(place.file)
        handler.setFormatter(formatter())
        return Started(stdlib_log(handler))

    return start


def stdlib_queue(place: Place) -> Started:
    from logging.handlers import QueueHandler, QueueListener

    handler = logging.FileHandler(place.file)
    handler.setFormatter(json_logger())
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = QueueListener(waiting, handler)
    listener.start()

    def flush() -> None:
        while not waiting.empty():
            time.sleep(0.001)

    return Started(stdlib_log(QueueHandler(waiting)), flush, listener.stop)
