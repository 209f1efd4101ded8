"""Logs as Arrow tables, and by them as frames of pandas and polars. None of the three is imported before it is asked
for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond._log import Log

_TEXTS = (
    "service",
    "message",
    "environment",
    "host",
    "version",
    "logger",
    "trace_id",
    "span_id",
    "request_id",
    "session_id",
    "user_id",
    "flow_id",
)


def table(logs: Iterable[Log]) -> Any:
    """A ``pyarrow.Table`` with the same typed columns whatever the logs have."""
    require("to_arrow()", "pyarrow")
    arrow = import_module("pyarrow")
    logs = list(logs)
    time, text = arrow.timestamp("ns", tz="UTC"), arrow.string()

    def column(name: str, type_: Any, convert: Callable[[Any], Any] = lambda value: value) -> Any:
        return arrow.array([convert(getattr(log, name)) for log in logs], type=type_)

    return arrow.table(
        {
            "time": column("time_ns", time),
            "level": column("level", text),
            "severity": column("severity", arrow.uint8()),
            **{name: column(name, text) for name in _TEXTS},
            "step_index": column("step_index", arrow.int64()),
            "tags": column("tags", arrow.list_(text)),
            "exception": column("exception", text, _json),
            "fields": column("fields", text, _json),
            "dataset": column("dataset", text),
            "observed_time": column("observed_time_ns", time),
            "id": column("id", text),
        }
    )


def concatenated(tables: list[Any]) -> Any:
    """One table of several; an empty one with all columns of none."""
    return import_module("pyarrow").concat_tables(tables) if tables else table(())


def to_pandas(to_arrow: Callable[[], Any]) -> Any:
    """A ``pandas.DataFrame``."""
    require("to_pandas()", "pyarrow", "pandas")
    return to_arrow().to_pandas()


def to_polars(to_arrow: Callable[[], Any]) -> Any:
    """A ``polars.DataFrame``."""
    require("to_polars()", "pyarrow", "polars")
    return import_module("polars").from_arrow(to_arrow())


def require(method: str, *modules: str) -> None:
    """Raises ``ImportError`` before anything is fetched that can't be converted then."""
    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            wanted = " ".join(modules)
            raise ImportError(
                f"{method} needs {name}, which can't be imported ({error}): pip install {wanted}"
            ) from error


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
