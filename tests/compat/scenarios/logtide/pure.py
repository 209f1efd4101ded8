"""What needs no server: values in, values out."""

import json

from given import report
from logtide_sdk import (
    Breadcrumb,
    ClientMetrics,
    ClientOptions,
    DsnParts,
    LogEntry,
    LogLevel,
    PayloadLimitsOptions,
    QueryOptions,
    Scope,
    TraceContext,
    User,
    format_traceparent,
    generate_span_id,
    generate_trace_id,
    get_current_scope,
    inject_traceparent,
    parse_dsn,
    parse_traceparent,
    push_scope,
    resolve_trace_id,
    serialize_exception,
)
from logtide_sdk._retry import classify_failure
from logtide_sdk.circuit_breaker import CircuitBreaker
from logtide_sdk.exceptions import BufferFullError, CircuitBreakerOpenError, LogTideError
from logtide_sdk.json_encoder import logtide_json_dumps, safe_repr, to_json_value
from logtide_sdk.payload_limits import apply_payload_limits

TRACE, SPAN = "ab" * 16, "cd" * 8


def tried(function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        return [kind.__name__ for kind in type(error).__mro__]


def dsns():
    texts = ["http://k@h", "https://K%20y@HOST:123/base/", "http://k:p@h:80?x=1", "http://h/", "k@h", "ftp://k@h", ""]
    return [tried(lambda text: list(vars(parse_dsn(text)).values()), text) for text in texts]


def traces():
    headers = [None, "", f"00-{TRACE}-{SPAN}-01", f" 00-{TRACE}-{SPAN}-00 ", f"ff-{TRACE}-{SPAN}-01"]
    headers += [f"01-{TRACE}-{SPAN}-03", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "00-x"]
    parsed = [parse_traceparent(header) for header in headers]
    outgoing = {}
    inject_traceparent(outgoing)
    nothing = dict(outgoing)
    with push_scope() as scope:
        scope.set_trace_context(TRACE, SPAN)
        inject_traceparent(outgoing)
        kept = {"traceparent": "mine"}
        inject_traceparent(kept)
    resolved = [resolve_trace_id(f"00-{TRACE}-{SPAN}-01", "x"), resolve_trace_id("bad", "x")]
    lengths = [len(generate_trace_id()), len(generate_span_id()), len(resolve_trace_id(None, None))]
    return [
        [one and [one.trace_id, one.span_id, one.sampled] for one in parsed],
        parsed[2] == TraceContext(TRACE, SPAN, True),
        [nothing, outgoing, kept, resolved, lengths, format_traceparent(TRACE, SPAN, False)],
    ]


def models():
    entry = LogEntry("s", LogLevel.INFO, "m", "2026-01-01T00:00:00+00:00", {"a": 1}, "t", "s", "u")
    return [
        entry.to_dict(),
        entry == LogEntry("s", LogLevel.INFO, "m", entry.time, {"a": 1}, "t", "s", "u"),
        LogEntry("s", LogLevel.INFO, "m", "x").to_dict(),
        repr(QueryOptions(limit=5)),
        ClientOptions("url", "key").batch_size,
        ClientMetrics(1) == ClientMetrics(1),
        LogLevel("warn") is LogLevel.WARN,
        LogLevel.ERROR == "error",
        hash(User("1")) == hash(User("1")),
        User("1", ip="::1").to_dict(),
        Breadcrumb("m", timestamp="x").to_dict(),
        DsnParts("a", "b") == DsnParts("a", "b"),
        issubclass(BufferFullError, LogTideError),
    ]


def scopes():
    scope = Scope(max_breadcrumbs=2)
    for n in range(3):
        scope.add_breadcrumb({"message": str(n), "timestamp": "x"})
    scope.set_user({"id": "1"})
    twin = scope.clone()
    twin.set_tag("only", "twin")
    twin.set_extra("x", 1)
    entry = LogEntry("s", LogLevel.INFO, "m", "x", {"x": 2})
    twin.apply_to_entry(entry)
    refused = [tried(scope.set_user, {"unknown": 1}), tried(scope.add_breadcrumb, {"unknown": 1})]
    return [scope.tags, entry.to_dict(), refused, get_current_scope() is get_current_scope()]


def limits():
    given = PayloadLimitsOptions(max_field_size=5, exclude_fields=["password"])
    value = {"password": 1, "a.password": 1, "t": "abcdefg", "b": "A" * 100, "l": ["abcdefg", None], "n": 1.5}
    return [
        apply_payload_limits(value, "", given),
        apply_payload_limits("abcdefg", "x.password", given),
        apply_payload_limits("A" * 99, "", PayloadLimitsOptions()),
        apply_payload_limits("Aa9+/=\r\n" * 20, "", PayloadLimitsOptions()),
        apply_payload_limits("Aa9-_." * 20, "", PayloadLimitsOptions()) == "Aa9-_." * 20,
    ]


def texts():
    cyclic = []
    cyclic.append(cyclic)
    values = [
        {1: 2},
        {3, 1},
        b"x\xff",
        [None, True, "é"],
        cyclic,
        1j,
        range(3),
        LogLevel.INFO,
        User("x"),
        ValueError("v"),
    ]
    return [*map(logtide_json_dumps, values), to_json_value({1: {2}}, set()), safe_repr(3)]


def breakers():
    breaker = CircuitBreaker(2, 60_000)
    states = [breaker.state]
    for outcome in (breaker.record_failure, breaker.record_success, breaker.record_failure, breaker.record_failure):
        outcome()
        states.append(breaker.state)
    refused = tried(breaker.call, lambda: 1)
    breaker.reset()
    soon = CircuitBreaker(1, 0)
    soon.record_failure()
    return [states, refused, breaker.call(lambda: 2), soon.state, tried(breaker.call, lambda: 1 / 0)]


def exceptions():
    def raising():
        raise KeyError("inner")

    try:
        try:
            raising()
        except KeyError as cause:
            raise ValueError("outer") from cause
    except ValueError as error:
        return json.loads(json.dumps(serialize_exception(error)))


report(
    {
        "dsns": dsns(),
        "traces": traces(),
        "models": models(),
        "scopes": scopes(),
        "limits": limits(),
        "texts": texts(),
        "breakers": breakers(),
        "network error": classify_failure(ValueError("x")),
        "exceptions": exceptions(),
        "open": issubclass(CircuitBreakerOpenError, LogTideError),
    }
)
