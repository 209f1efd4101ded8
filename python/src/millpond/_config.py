"""Settings from arguments, then the environment, then defaults; each checked, each error saying what, where and what
was expected."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from millpond import _levels


class ConfigurationError(ValueError):
    """A setting has a value that it can't have."""


@dataclass(frozen=True)
class Settings:
    """Everything that ``init`` was told. ``None`` leaves the default to the engine."""

    service: str | None
    endpoint: str | None
    api_key: str | None
    environment: str | None
    version: str | None
    host: str | None
    #: OpenTelemetry severity number.
    min_level: int
    compression: str | None
    queue_bytes_max: int | None
    batch_records_max: int | None
    batch_age_s: float | None
    request_timeout_s: float | None
    shutdown_timeout_s: float

    def __repr__(self) -> str:
        # The key stays out of logs and tracebacks.
        return f"<millpond.Settings service={self.service!r} endpoint={self.endpoint!r}>"


#: As the engine's own.
SHUTDOWN_TIMEOUT_S = 2.0
_SECONDS_MAX = 86_400.0


def settings_from(arguments: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Settings:
    """Checks the arguments of ``init`` and fills in what they leave open."""
    source = _Source(arguments, os.environ if environment is None else environment)
    shutdown_timeout_s = source.seconds("shutdown_timeout_s", zero=True)
    return Settings(
        service=source.text("service"),
        endpoint=source.url("endpoint"),
        api_key=source.text("api_key"),
        environment=source.text("environment"),
        version=source.text("version"),
        host=source.text("host"),
        min_level=source.level("min_level", "LEVEL"),
        compression=source.choice("compression", ("zstd", "gzip", "none")),
        queue_bytes_max=source.count("queue_bytes_max"),
        batch_records_max=source.count("batch_records_max"),
        batch_age_s=source.seconds("batch_age_s"),
        request_timeout_s=source.seconds("request_timeout_s"),
        shutdown_timeout_s=SHUTDOWN_TIMEOUT_S if shutdown_timeout_s is None else shutdown_timeout_s,
    )


class _Source:
    def __init__(self, arguments: Mapping[str, object], environment: Mapping[str, str]) -> None:
        self._arguments = arguments
        self._environment = environment

    def _find(self, name: str, variable: str | None = None) -> tuple[object, str]:
        """The value, ``None`` if nobody gave one, and where it stands. An empty variable counts as not set."""
        value = self._arguments.get(name)
        if value is not None:
            return value, f"init({name}=…)"
        variable = f"MILLPOND_{variable or name.upper()}"
        return self._environment.get(variable, "").strip() or None, f"environment variable {variable}"

    def text(self, name: str) -> str | None:
        value, where = self._find(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _wrong(where, value, "a string")
        if not value.strip():
            raise _wrong(where, value, "a string that is not empty")
        if any(ord(letter) < 0x20 or 0xD800 <= ord(letter) < 0xE000 for letter in value):
            raise _wrong(where, "…" if name == "api_key" else value, "a string without control characters")
        return value

    def url(self, name: str) -> str | None:
        value, where = self._find(name)
        if value is None:
            return None
        expected = "the server's address such as http://127.0.0.1:4480"
        if not isinstance(value, str):
            raise _wrong(where, value, expected)
        try:
            parts = urlsplit(value)
            valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid or any(letter <= " " for letter in value):
            raise _wrong(where, value, expected)
        return value.rstrip("/")

    def level(self, name: str, variable: str) -> int:
        value, where = self._find(name, variable)
        if value is None:
            return _levels.TRACE
        severity = None
        if isinstance(value, str):
            severity = _levels.from_stdlib(int(value)) if value.isdecimal() else _levels.from_name(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            severity = _levels.from_stdlib(value)
        if severity is None:
            raise _wrong(where, value, "trace, debug, info, warn, error, critical, or a number of the logging module")
        return severity

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        value, where = self._find(name)
        if value is None:
            return None
        if not isinstance(value, str) or value.lower() not in choices:
            raise _wrong(where, value, f"{', '.join(choices[:-1])} or {choices[-1]}")
        return value.lower()

    def count(self, name: str) -> int | None:
        value, where = self._find(name)
        if value is None:
            return None
        if isinstance(value, str) and where.startswith("env") and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 40:
            raise _wrong(where, value, "a whole number above 0")
        return value

    def seconds(self, name: str, *, zero: bool = False) -> float | None:
        value, where = self._find(name)
        if value is None:
            return None
        if isinstance(value, str) and where.startswith("env"):
            try:
                value = float(value)
            except ValueError:
                pass
        valid = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not valid or not isinstance(value, (int, float)) or value < 0 or (value == 0 and not zero):
            raise _wrong(where, value, f"a number of seconds {'from 0 on' if zero else 'above 0'}")
        return min(float(value), _SECONDS_MAX)


def _wrong(where: str, value: object, expected: str) -> ConfigurationError:
    try:
        shown = repr(value)[:100]
    except Exception:
        shown = "a value that can't be shown"
    return ConfigurationError(f"{where} is {shown} ({type(value).__name__}), expected {expected}")
