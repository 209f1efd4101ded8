"""Every way to log with the sync client, one entry after the other."""

import dataclasses
import datetime
import decimal
import enum
import uuid

from given import ADDRESS, KEY, report
from logtide_sdk import (
    Breadcrumb,
    ClientOptions,
    LogEntry,
    LogLevel,
    LogTideClient,
    PayloadLimitsOptions,
    User,
    add_breadcrumb,
    get_current_scope,
    push_scope,
    set_extra,
    set_session_id,
    set_tag,
    set_user,
)
from logtide_sdk.tracecontext import register_active_context_provider

SESSION = "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d"
TRACE, SPAN = "ab" * 16, "cd" * 8


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Card:
    owner: str
    number: str = dataclasses.field(repr=False)


def client(**options):
    return LogTideClient(ClientOptions(api_url=ADDRESS, api_key=KEY, flush_interval=0, **options))


def failing():
    try:
        try:
            {}["missing"]
        except KeyError as cause:
            raise ValueError("outer") from cause
    except ValueError as error:
        return error


def forms():
    with_service = client(service="own", global_metadata={"env": "test", "n": 1})
    for level in ("debug", "info", "warn", "error", "critical"):
        getattr(with_service, level)("svc", f"{level} with service", {"n": 2})
        getattr(with_service, level)(f"{level} without", {"n": 3})
    with_service.info("alone")
    with_service.info("metadata by position", None, {"n": 4})
    with_service.info("svc", message="by keyword", metadata={"n": 5}, trace_id=TRACE, span_id=SPAN)
    with_service.error("svc", "an exception", failing())
    with_service.critical("an exception without service", failing())
    with_service.log(LogEntry("svc", LogLevel.WARN, "an entry", time="2026-01-02T03:04:05.678901Z", trace_id="t-1"))
    with_service.info("svc", "an own stamp", {"sdk": "mine"})
    with_service.close()
    with_service.info("svc", "after the end")


def values():
    odd = client()
    odd.info(
        "svc",
        "values",
        {
            "text": "naïve ✓",
            "nothing": None,
            "yes": True,
            "float": 1.5,
            "decimal": decimal.Decimal("12.50"),
            "uuid": uuid.UUID(int=7),
            "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
            "took": datetime.timedelta(seconds=2.5),
            "set": {3, 1},
            "tuple": (1, [2]),
            "bytes": b"\x00ab",
            "enum": Colour.RED,
            "card": Card("Jane", "4111"),
            "error": OSError("no"),
            7: "a number as key",
        },
    )
    odd.close()


def traces():
    plain = client()
    plain.set_trace_id("set")
    plain.info("svc", "set")
    with plain.with_trace_id("scoped"):
        plain.info("svc", "scoped")
    plain.info("svc", "set again")
    plain.set_trace_id(None)
    plain.info("svc", "none")
    with plain.with_new_trace_id():
        plain.info("svc", plain.get_trace_id() and "generated", trace_id="not it")
    register_active_context_provider(lambda: (TRACE, SPAN))
    plain.info("svc", "active span")
    with push_scope() as scope:
        scope.set_trace_context("scope's", "ef" * 8)
        plain.info("svc", "active span before scope")
        plain.info("svc", "explicit before both", trace_id="explicit")
        register_active_context_provider(None)
        plain.info("svc", "scope")
    plain.close()


def scopes():
    plain = client()
    with push_scope() as scope:
        set_tag("tag", "a")
        set_extra("extra", {"n": 1})
        set_user(User(id="u1", email="u@shop.example"))
        set_session_id(SESSION)
        add_breadcrumb(Breadcrumb("clicked", category="ui", data={"x": 1}))
        add_breadcrumb({"message": "loaded", "level": "debug"})
        plain.info("svc", "in the scope", {"own": 1})
        plain.info("svc", "own goes first", {"extra": 2, "tags": 3, "user": 4, "breadcrumbs": 5})
        with push_scope() as inner:
            inner.set_tag("inner", "b")
            inner.set_user({"username": "jane"})
            inner.clear_breadcrumbs()
            plain.info("svc", "further in")
        plain.info("svc", "further out")
        scope.remove_tag("tag")
        assert get_current_scope() is scope
    plain.info("svc", "outside")
    plain.close()


def hooks():
    def hook(entry):
        if "drop" in entry.message:
            return None
        if "fail" in entry.message:
            raise RuntimeError("a hook that fails")
        entry.metadata["seen"] = [entry.level.value, sorted(entry.metadata)]
        return entry

    hooked = client(before_send=hook)
    for message in ("keep", "drop", "fail"):
        hooked.info("svc", message, {"a": 1})
    hooked.close()
    client(sample_rate=0.0).info("svc", "sampled out")
    client(local_mode=True).info("svc", "local")


def limits():
    limited = client(
        payload_limits=PayloadLimitsOptions(
            max_field_size=20, max_log_size=1000, exclude_fields=["password"], truncation_marker="…"
        )
    )
    limited.info(
        "svc",
        "limited",
        {
            "long": "x y " * 20,
            "base64": "QUJD" * 40,
            "data_url": "data:text/plain," + "-" * 100,
            "digest": "ab" * 64,
            "password": {"any": 1},
            "k.password": 1,
            "list": ["x y " * 20, {"password": 2}],
            "wide": "é" * 30,
        },
    )
    limited.info("svc", "too large", {f"field{n}": "some text here" for n in range(60)})
    limited.close()


def numbers():
    counted = client(batch_size=2)
    for n in range(5):
        counted.info("svc", f"number {n}")
    counted.flush()
    before = counted.get_metrics()
    state = counted.get_circuit_breaker_state()
    counted.reset_metrics()
    after = counted.get_metrics()
    counted.close()
    names = ("logs_sent", "logs_dropped", "errors", "retries", "circuit_breaker_trips")
    return {
        "before": [getattr(before, name) for name in names],
        "measured": before.avg_latency_ms > 0,
        "after": [getattr(after, name) for name in names],
        "state": [state, state == "CLOSED"],
    }


def refusals():
    seen = []
    for options in (
        {},
        {"api_url": ADDRESS},
        {"local_mode": "sometimes"},
        {"sample_rate": 1.5},
        {"dsn": "nonsense"},
        {"dsn": "http://host"},
    ):
        try:
            LogTideClient(ClientOptions(**options))
        except Exception as error:
            seen.append([type(error).__name__, isinstance(error, ValueError)])
    try:
        client().info("no service")
    except ValueError as error:
        seen.append(type(error).__name__)
    LogTideClient(ClientOptions(local_mode="if_unset_api_key")).info("svc", "nothing")
    dsn = ClientOptions(dsn=ADDRESS.replace("://", "://key@"))
    return [seen, dsn.api_key, dsn.api_url == ADDRESS]


if __name__ == "__main__":
    forms()
    values()
    traces()
    scopes()
    hooks()
    limits()
    report({"numbers": numbers(), "refusals": refusals()})
