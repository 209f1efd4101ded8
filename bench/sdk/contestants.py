"""Who is measured: the rows of the tables. A process measures one of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import ours
import peers
from place import Place, Started


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


def _stopwatch(_place: Place) -> Started:
    return Started(lambda number: None)


CONTESTANTS: dict[str, Contestant] = {
    "nothing": Contestant("nothing (the stopwatch)", _stopwatch, "none"),
    "millpond": Contestant("millpond", ours.millpond, "ours"),
    "millpond-context": Contestant(
        "millpond, two bound and two context attributes more", ours.millpond_context, "ours"
    ),
    "millpond-spool": Contestant("millpond with a spool", ours.millpond_spool, "ours"),
    "millpond-stdlib": Contestant("millpond, stdlib handler", ours.millpond_stdlib, "ours"),
    "millpond-structlog": Contestant(
        "millpond, structlog", ours.millpond_structlog, "ours", needs=("millpond.structlog",)
    ),
    "millpond-loguru": Contestant("millpond, loguru", ours.millpond_loguru, "ours", needs=("millpond.loguru",)),
    "logtide": Contestant("logtide-sdk", peers.logtide, "peer", needs=("logtide_sdk",)),
    "timberlogs": Contestant("timberlogs-client", peers.timberlogs, "peer", needs=("timberlogs",)),
    "logiscout": Contestant("logiscout-logger, in requests", peers.logiscout, "peer", needs=("logiscout_logger",)),
    "streamlogia": Contestant("streamlogia", peers.streamlogia(1), "peer", calls=5_000, needs=("streamlogia",)),
    "streamlogia-100": Contestant(
        "streamlogia, batches of 100", peers.streamlogia(100), "peer", needs=("streamlogia",)
    ),
    "opentelemetry": Contestant("opentelemetry-sdk, OTLP/HTTP", peers.opentelemetry, "peer"),
    "opentelemetry-stdlib": Contestant(
        "opentelemetry-sdk, OTLP/HTTP, stdlib handler", peers.opentelemetry_stdlib, "peer"
    ),
    "sentry": Contestant("sentry-sdk, logs", peers.sentry, "peer", needs=("sentry_sdk",)),
    "structlog": Contestant(
        "structlog, JSON file", peers.structlog(peers.structlog_text_file, peers.structlog_json), "file"
    ),
    "structlog-orjson": Contestant(
        "structlog, orjson, file",
        peers.structlog(peers.structlog_bytes_file, peers.structlog_orjson),
        "file",
        needs=("orjson",),
    ),
    "loguru": Contestant("loguru, serialized, file", peers.loguru, "file", needs=("loguru",)),
    "picologging": Contestant("picologging, JSON file", peers.picologging, "file", needs=("picologging",)),
    "stdlib": Contestant("stdlib, small JSON formatter, file", peers.stdlib_file(peers.SmallJson), "file"),
    "stdlib-json-logger": Contestant("stdlib, python-json-logger, file", peers.stdlib_file(peers.json_logger), "file"),
    "stdlib-queue": Contestant("stdlib QueueHandler, python-json-logger, file", peers.stdlib_queue, "file"),
}

#: Only what a quick look asks for.
QUICK: dict[str, Contestant] = {
    "nothing": CONTESTANTS["nothing"],
    "millpond-message": Contestant("message", ours.millpond_message, "ours"),
    "millpond": Contestant("message, 5 fields", ours.millpond, "ours"),
    "millpond-context": Contestant("message, 5 fields, 2 bound, 2 context", ours.millpond_context, "ours"),
    "millpond-nested": Contestant("message, nested field", ours.millpond_nested, "ours"),
    "millpond-stdlib": Contestant("stdlib handler, 5 extra", ours.millpond_stdlib, "ours"),
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
