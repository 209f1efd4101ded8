"""Millpond in each of its ways, with its defaults. Nothing is imported before it is needed."""

from __future__ import annotations

import importlib
import os
from typing import Any

from place import Place, Started, by_keywords, stdlib_log


def _init_millpond(place: Place) -> Any:
    import millpond

    millpond.init(service="bench", endpoint=place.url, api_key="bench")
    return millpond


def millpond(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info

    return Started(by_keywords(info), lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_spool(place: Place) -> Started:
    os.environ["MILLPOND_SPOOL_DIR"] = str(place.folder / "spool")
    return millpond(place)


def millpond_context(place: Place) -> Started:
    millpond = _init_millpond(place)
    millpond.context(trace_id="4bf92f3577b34da6a3ce929d0e0e4736", request_id="r-1").__enter__()
    info = millpond.get_logger("bench").bind(region="eu", shop="s-1").info

    return Started(by_keywords(info), lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_message(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info
    return Started(lambda number: info("order placed"), lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_nested(place: Place) -> Started:
    millpond = _init_millpond(place)
    info = millpond.get_logger("bench").info

    def log(number: int) -> None:
        info("order placed", order={"id": number, "lines": [{"sku": "a", "count": 2}, {"sku": "b", "count": 1}]})

    return Started(log, lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_stdlib(place: Place) -> Started:
    millpond = _init_millpond(place)
    return Started(stdlib_log(millpond.Handler()), lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_structlog(place: Place) -> Started:
    millpond = _init_millpond(place)
    import structlog

    # Its own way of being set up; see docs/python/structlog.md.
    importlib.import_module("millpond.structlog").configure()
    info = structlog.get_logger("bench").info

    return Started(by_keywords(info), lambda: millpond.flush(30), lambda: millpond.close(30))


def millpond_loguru(place: Place) -> Started:
    millpond = _init_millpond(place)
    from loguru import logger

    logger.remove()
    logger.add(importlib.import_module("millpond.loguru").Sink())

    return Started(by_keywords(logger.info), lambda: millpond.flush(30), lambda: millpond.close(30))
