"""The options: what each is called, what it may be, what it means. Arguments go before the environment, the environment
before the defaults; what is wrong is refused with what, where and what was expected.

This table is the one place that knows: the native client, the signature of ``init``, its documentation and the page
``docs/python/options.md`` follow it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal, NamedTuple, TypedDict

from millpond import _levels
from millpond._native import DEFAULTS

#: Options that are those of requests, of ``millpond.middleware.RequestOptions``.
REQUEST_OPTIONS = (
    "skip_paths",
    "trusted_proxies",
    "forwarded_header",
    "capture_headers",
    "capture_body",
    "logger",
)


class ConfigurationError(ValueError):
    """An option has a value that it can't have."""


class _RecordOptions(TypedDict, total=False):
    """What concerns records, and the server of Millpond."""

    service: str | None
    endpoint: str | None
    api_key: str | None
    dsn: str | None
    environment: str | None
    version: str | None
    host: str | None
    min_level: str | int | None
    fields: Mapping[str, object] | None
    redaction: Literal["off", "keys", "keys_and_values"] | None
    redact_keys: Collection[str] | None
    exclude_fields: Collection[str] | None
    text_chars_max: int | None
    record_bytes_max: int | None
    depth_max: int | None
    remove_base64: bool | None
    exception_locals: bool | None
    sample_rate: float | None
    sample_level_max: str | int | None
    before_send: Callable[[dict[str, Any]], dict[str, Any] | None] | None
    trace_source: Literal["opentelemetry", "off"] | Callable[[], tuple[str, str] | None] | None
    auto_trace_id: bool | None
    breadcrumbs_min_level: str | int | None
    console: Literal["pretty", "json", "off"] | None
    loss_reports: bool | None


class _DeliveryOptions(TypedDict, total=False):
    """How something is delivered, whatever it is."""

    spool_dir: str | os.PathLike[str] | None
    spool_bytes_max: int | None
    spool_age_s_max: float | None
    queue_bytes_max: int | None
    queue_records_max: int | None
    overflow: Literal["drop_newest", "drop_oldest", "block"] | None
    block_timeout_s: float | None
    batch_records_max: int | None
    batch_records_due: int | None
    batch_bytes_max: int | None
    batch_age_s: float | None
    compression: Literal["zstd", "gzip", "none"] | None
    retry_delay_s: float | None
    retry_delay_s_max: float | None
    attempts_max: int | None
    breaker_failures: int | None
    breaker_reset_s: float | None
    proxy: str | None
    ca_file: str | os.PathLike[str] | None
    connect_timeout_s: float | None
    request_timeout_s: float | None
    shutdown_timeout_s: float | None
    flush_on_sigterm: bool | None


class ShipperOptions(_DeliveryOptions, total=False):
    """The options of a :class:`millpond.Shipper`. See ``docs/python/options.md``."""

    mode: Literal["normal", "silent"] | None


class Options(_DeliveryOptions, _RecordOptions, total=False):
    """The options of a client. See ``docs/python/options.md``."""

    mode: Literal["normal", "development", "silent"] | None


#: Turns a value into what the native client takes: (value, where it stands, whether it is a word of the environment).
_Check = Callable[[object, str, bool], object]

#: A year; more is as good as for ever.
SECONDS_MAX = 365 * 86_400.0
#: The server's largest count; more is a mistake.
_COUNT_MAX = 1 << 40


def _wrong(where: str, value: object, expected: str) -> ConfigurationError:
    try:
        shown = repr(value)[:100]
    except Exception:
        shown = "a value that can't be shown"
    return ConfigurationError(f"{where} is {shown} ({type(value).__name__}), expected {expected}")


def _text(value: object, where: str, _word: bool) -> str:
    if not isinstance(value, str):
        raise _wrong(where, value, "a string")
    if not value.strip():
        raise _wrong(where, value, "a string that is not empty")
    if not _is_clean(value):
        raise _wrong(where, value, "a string without control characters")
    return value


def _secret(value: object, where: str, _word: bool) -> str:
    """As :func:`_text`, but never shown."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{where} is … ({type(value).__name__}), expected a string")
    if not value.strip() or not _is_clean(value):
        raise ConfigurationError(f"{where} is … (str), expected a string that is not empty, without control characters")
    return value


def _is_clean(text: str) -> bool:
    return not any(ord(letter) < 0x20 or 0xD800 <= ord(letter) < 0xE000 for letter in text)


def _url(value: object, where: str, _word: bool) -> str:
    expected = "the server's address such as http://127.0.0.1:4480"
    return address_from(value, where, expected, "; a key and an address are a dsn").rstrip("/")


def address_from(value: object, where: str, expected: str, hint: str = "") -> str:
    """An address with a host and without credentials."""
    if not isinstance(value, str):
        raise _wrong(where, value, expected)
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if "@" in value:
        # A key in front of the host would be shown wherever the endpoint is. So it is not shown here either.
        raise ConfigurationError(f"{where} has credentials in it, expected {expected}{hint}")
    if not valid or any(letter <= " " for letter in value):
        raise _wrong(where, value, expected)
    return value


def _level(value: object, where: str, _word: bool) -> int:
    severity = None
    if isinstance(value, str):
        severity = _levels.from_stdlib(int(value)) if value.isdecimal() else _levels.from_name(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        severity = _levels.from_stdlib(value)
    if severity is None:
        raise _wrong(where, value, "trace, debug, info, warn, error, critical, or a number of the logging module")
    return severity


def _one_of(*choices: str) -> _Check:
    def check(value: object, where: str, _word: bool) -> str:
        if not isinstance(value, str) or value.lower() not in choices:
            raise _wrong(where, value, f"{', '.join(choices[:-1])} or {choices[-1]}")
        return value.lower()

    return check


def _count(least: int = 1, most: int = _COUNT_MAX) -> _Check:
    def check(value: object, where: str, word: bool) -> int:
        if word and isinstance(value, str) and value.isdecimal():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            upto = "" if most == _COUNT_MAX else f" to {most}"
            raise _wrong(where, value, f"a whole number from {least}{upto}{'' if upto else ' on'}")
        return value

    return check


def _number(value: object, word: bool) -> float | None:
    if word and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _seconds(*, zero: bool = False) -> _Check:
    def check(value: object, where: str, word: bool) -> float:
        number = _number(value, word)
        if number is None or number < 0 or (number == 0 and not zero):
            raise _wrong(where, value, f"a number of seconds {'from 0 on' if zero else 'above 0'}")
        return min(number, SECONDS_MAX)

    return check


def _rate(value: object, where: str, word: bool) -> float:
    number = _number(value, word)
    if number is None or not 0 <= number <= 1:
        raise _wrong(where, value, "a number from 0 to 1")
    return number


def _flag(value: object, where: str, word: bool) -> bool:
    if word and isinstance(value, str):
        word_said = value.lower()
        value = True if word_said in ("1", "true", "yes", "on") else value
        value = False if word_said in ("0", "false", "no", "off") else value
    if not isinstance(value, bool):
        raise _wrong(where, value, "true or false")
    return value


def _names(value: object, where: str, word: bool) -> list[str]:
    """One name is a list of one: taken as a list of letters, it would withhold everything."""
    if isinstance(value, str):
        value = value.split(",") if word else [value]
    if isinstance(value, Mapping) or not isinstance(value, Collection):
        raise _wrong(where, value, "names")
    names = [name.strip() if isinstance(name, str) else name for name in value]
    for name in names:
        if not isinstance(name, str) or not name:
            raise _wrong(where, value, "names, each a string that is not empty")
    return [str(name) for name in names]


def names_from(value: object, where: str) -> list[str]:
    """A collection of names, or one."""
    return _names(value, where, False)


def _path(value: object, where: str, _word: bool) -> str:
    try:
        path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    except Exception:
        path = None
    if not isinstance(path, str) or not path:
        raise _wrong(where, value, "a path that is a string and not empty")
    return path


def headers_from(value: object, where: str) -> list[tuple[str, str]]:
    """The headers of a mapping, whose values are not shown."""
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise ConfigurationError(f"{where} is … ({type(value).__name__}), expected a mapping of strings to strings")
    return list(value.items())


def _mapping(value: object, where: str, _word: bool) -> dict[str, object]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(where, value, "a mapping whose keys are strings")
    return dict(value)


def _callable(value: object, where: str, _word: bool) -> object:
    function: Any = value
    if not callable(function):
        raise _wrong(where, value, "a function")
    return value


def _trace_source(value: object, where: str, _word: bool) -> object:
    if isinstance(value, str) and value.lower() in ("opentelemetry", "off"):
        return value.lower()
    function: Any = value
    if not callable(function):
        raise _wrong(where, value, "opentelemetry, off, or a function that returns trace id and span id, or None")
    return value


class Option(NamedTuple):
    """One option."""

    name: str
    check: _Check
    #: What it is for, with unit and range.
    meaning: str
    #: How its default is written down; empty where the engine's own is shown.
    default: str = ""
    #: Its variable in the environment without ``MILLPOND_``; empty for the name in capitals, ``None`` for none.
    variable: str | None = ""
    #: Whether the native client takes it.
    native: bool = True

    @property
    def environment_name(self) -> str | None:
        """The whole name of its variable."""
        return None if self.variable is None else f"MILLPOND_{self.variable or self.name.upper()}"

    @property
    def default_shown(self) -> str:
        """The default, as documentation shows it."""
        if self.default:
            return self.default
        value = DEFAULTS[self.name]
        return f"{value:g}" if isinstance(value, float) else f"{value:,}"


OPTIONS = (
    Option("service", _text, "name of this service", "unknown_service"),
    Option("endpoint", _url, "address of the server", "http://127.0.0.1:4480"),
    Option("api_key", _secret, "key with the scope `ingest`", "none"),
    Option("dsn", _secret, "endpoint and key in one: `https://KEY@HOST[:PORT]`; endpoint and key go before it", "none"),
    Option("environment", _text, "deployment environment, such as `production`", "none"),
    Option("version", _text, "version of the service", "none"),
    Option("host", _text, "name of this host", "the system's"),
    Option("min_level", _level, "least level that is kept", "trace", "LEVEL"),
    Option("fields", _mapping, "fields of every record", "none", None),
    Option("redaction", _one_of("off", "keys", "keys_and_values"),
           "what is withheld: nothing, values of keys that name a secret, or also what looks like a secret in texts",
           "keys"),
    Option("redact_keys", _names, "more keys whose values are redacted, at any depth, whatever their case", "none"),
    Option("exclude_fields", _names, "keys whose values are left out", "none"),
    Option("text_chars_max", _count(), "most characters of one text; longer ones are cut", "no limit of its own"),
    Option("record_bytes_max", _count(1024, DEFAULTS["record_bytes_max"]), "most bytes of one record as JSON"),
    Option("depth_max", _count(1, DEFAULTS["depth_max"]), "deepest nesting of a field"),
    Option("remove_base64", _flag, "whether long base64 is left out", "false"),
    Option("exception_locals", _flag, "whether frames of exceptions come with their local variables, redacted by key",
           "false"),
    Option("sample_rate", _rate, "share of the records up to `sample_level_max` that is kept, 0 to 1; a trace is kept "
           "whole", "all are kept"),
    Option("sample_level_max", _level, "highest level that is sampled", "info"),
    Option("before_send", _callable, "called with each record as a dict, in the thread that logs; returns it, changed "
           "or not, or `None` to drop it", "none", None),
    Option("trace_source", _trace_source, "where records without a trace get one from: the active span of "
           "`opentelemetry`, if that is imported; `off`; or a function that returns trace id and span id, or `None`",
           "opentelemetry"),
    Option("auto_trace_id", _flag, "whether a record without a trace gets one of its own", "false"),
    Option("breadcrumbs_min_level", _level, "least level of the records that breadcrumbs go with", "error"),
    Option("mode", _one_of("normal", "development", "silent"),
           "send; print and never send; or do nothing", "normal"),
    Option("console", _one_of("pretty", "json", "off"), "whether records are printed as well", "off"),
    Option("spool_dir", _path, "directory that keeps records over the end of the process, until they are delivered",
           "none: memory only"),
    Option("spool_bytes_max", _count(), "most bytes of the spool on disk"),
    Option("spool_age_s_max", _seconds(), "seconds that a record may wait in the spool"),
    Option("queue_bytes_max", _count(), "most bytes of records that wait in memory"),
    Option("queue_records_max", _count(), "most records that wait in memory"),
    Option("overflow", _one_of("drop_newest", "drop_oldest", "block"),
           "what happens when the queue is full; `block` waits for room, then drops the newest", "drop_newest"),
    Option("block_timeout_s", _seconds(), "seconds that `block` waits at most"),
    Option("batch_records_max", _count(), "most records of one request"),
    Option("batch_records_due", _count(), "records that are sent though a request may have more; what comes while the "
           "one before is on its way goes along", "`batch_records_max`"),
    Option("batch_bytes_max", _count(), "most bytes of one request before compression"),
    Option("batch_age_s", _seconds(), "seconds after which a record is sent though its batch is not full"),
    Option("compression", _one_of("zstd", "gzip", "none"), "compression of requests", "zstd"),
    Option("retry_delay_s", _seconds(), "bound of the first random wait before a retry, in seconds; doubles each time"),
    Option("retry_delay_s_max", _seconds(), "bound of all waits before a retry, in seconds"),
    Option("attempts_max", _count(1, (1 << 32) - 1), "attempts after which a batch is dropped", "no limit"),
    Option("breaker_failures", _count(1, (1 << 32) - 1), "failures in a row after which the server is left alone"),
    Option("breaker_reset_s", _seconds(zero=True), "seconds after which one batch probes whether the server is back"),
    Option("loss_reports", _flag, "whether the server is told of records that were lost", "true"),
    Option("proxy", _secret, "`http://[USER:PASSWORD@]HOST:PORT`", "`HTTPS_PROXY` and the like; none for this machine"),
    Option("ca_file", _path, "certificates (PEM) to trust instead of the built-in ones", "none"),
    Option("connect_timeout_s", _seconds(), "seconds that connecting may take"),
    Option("request_timeout_s", _seconds(), "seconds that a request may take, and again its answer"),
    Option("shutdown_timeout_s", _seconds(zero=True), "seconds that the end of the program waits for delivery"),
    Option("flush_on_sigterm", _flag, "whether SIGTERM, where it would end the program at once, lets it flush before",
           "true", native=False),
)  # fmt: skip

#: Those that say how something is delivered, whatever it is. Not every server can read what is compressed.
SHIPPER_OPTIONS = (
    Option("mode", _one_of("normal", "silent"), "send; or do nothing", "normal"),
    *(
        option._replace(default="none") if option.name == "compression" else option
        for option in OPTIONS
        if option.name in _DeliveryOptions.__annotations__
    ),
)


class Settings(NamedTuple):
    """What a client was told, checked."""

    #: Options of the native client. Those that nobody set are not there.
    native: Mapping[str, object]
    shutdown_timeout_s: float
    flush_on_sigterm: bool

    def __repr__(self) -> str:
        """Without the options, of which one is the key."""
        return f"Settings(shutdown_timeout_s={self.shutdown_timeout_s}, flush_on_sigterm={self.flush_on_sigterm})"

    def is_like(self, other: Settings | None) -> bool:
        """Whether a client with the one would be one with the other. A function that was made anew by the same code is
        the same function."""
        if other is None or self[1:] != other[1:] or self.native.keys() != other.native.keys():
            return False
        return all(_is_same(value, other.native[name]) for name, value in self.native.items())

    @property
    def has_spool(self) -> bool:
        """Whether records are kept on disk."""
        return "spool_dir" in self.native


def _is_same(one: Any, other: Any) -> bool:
    code = getattr(one, "__code__", None)
    if code is not None:
        parts = ("__code__", "__closure__", "__defaults__", "__kwdefaults__", "__self__")
        return all(getattr(one, part, None) == getattr(other, part, None) for part in parts)
    try:
        return bool(one == other)
    except Exception:
        return False  # Values that can't be compared, such as arrays.


def settings_from(arguments: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Settings:
    """Checks the arguments and fills in what they leave open."""
    return _settings(OPTIONS, "init", arguments, os.environ if environment is None else environment)


def shipper_settings_from(arguments: Mapping[str, object]) -> Settings:
    """Checks the arguments of a shipper. What the environment says is about the server of Millpond, not about its."""
    return _settings(SHIPPER_OPTIONS, "Shipper", arguments, {})


def _settings(
    options: tuple[Option, ...], caller: str, arguments: Mapping[str, object], environment: Mapping[str, str]
) -> Settings:
    known = {option.name for option in options}
    for name in arguments:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean `{close[0]}`?" if close else ""
            raise TypeError(f"there is no option `{name}`{hint}")
    found: dict[str, object] = {}
    for option in options:
        value = _find(option, caller, arguments, environment)
        if value is not None:
            found[option.name] = value
    flush_on_sigterm = found.pop("flush_on_sigterm", True)
    shutdown_timeout_s = found.get("shutdown_timeout_s", DEFAULTS["shutdown_timeout_s"])
    assert isinstance(shutdown_timeout_s, float) and isinstance(flush_on_sigterm, bool)
    return Settings(found, shutdown_timeout_s, flush_on_sigterm)


def _find(option: Option, caller: str, arguments: Mapping[str, object], environment: Mapping[str, str]) -> object:
    """The value, ``None`` if nobody gave one. An empty variable counts as not set."""
    value = arguments.get(option.name)
    if value is not None:
        return option.check(value, f"{caller}({option.name}=…)", False)
    # What the program says goes before what the environment says, and no key goes to another address than its own.
    elsewhere = {"endpoint": "dsn", "api_key": "dsn", "dsn": "endpoint"}.get(option.name, "")
    if arguments.get(elsewhere) is not None:
        return None
    variable = option.environment_name
    word = "" if variable is None else environment.get(variable, "").strip()
    return option.check(word, f"environment variable {variable}", True) if word else None


def documentation(options: tuple[Option, ...] = OPTIONS) -> str:
    """The options as lines of a docstring."""
    lines = (f"    :param {option.name}: {option.meaning}; default: {option.default_shown}." for option in options)
    return "\n".join(lines)
