"""What callers are told when something is wrong: the server, the address, the key, the call."""

from __future__ import annotations

import asyncio
from functools import partial

import httpx
from given import KEY, report
from timberlogs import LogEntry, LogOptions, ValidationError, client, create_timberlogs
from timberlogs.types import validate_log_payload

#: Each in front of a log that is in order otherwise.
LIMITS = [
    {"message": ""}, {"message": "x" * 10_001}, {"source": "x" * 101}, {"environment": ""}, {"environment": "x" * 51},
    {"dataset": "x" * 51}, {"version": "x" * 51}, {"userId": "x" * 101}, {"sessionId": "x" * 101},
    {"requestId": "x" * 101}, {"errorName": "x" * 201}, {"errorStack": "x" * 10_001}, {"flowId": "x" * 51},
    {"stepIndex": 1001}, {"stepIndex": -1}, {"stepIndex": "x"}, {"tags": ["x"] * 21}, {"tags": ["x", "y" * 51]},
    {"message": None}, {"level": "loud"}, {"dataset": ""}, {"message": "😀" * 10_000},
]  # fmt: skip


def outcome(error):
    """What can be told of an exception, without where it was raised."""
    shown = [type(error).__module__.replace("millpond.compat.", ""), type(error).__name__]
    if isinstance(error, httpx.HTTPStatusError):
        return [*shown, str(error), error.response.status_code, error.response.text, str(error.request.url)]
    return [*shown, isinstance(error, httpx.TransportError) or str(error)]


def raised(call):
    try:
        return repr(call())
    except Exception as error:
        return [*outcome(error), type(error.__cause__).__name__]


def make(**options):
    settings = {"api_key": KEY, "flush_interval": 0, "max_retries": 1, "initial_delay_ms": 1, "max_delay_ms": 2}
    return create_timberlogs("shop", "production", **{**settings, **options})


seen = {}
errors = []
timber = make(on_error=errors.append)
timber.info("late").flush()
timber.flush()
seen["flush"] = [outcome(error) for error in errors]
once = make(max_retries=0)
seen["raw 400"] = raised(lambda: once.ingest_raw("x", "json"))
seen["raw 503"] = raised(lambda: timber.ingest_raw("x", "json"))
seen["raw redirected"] = raised(lambda: once.ingest_raw("x", "json"))
seen["raw format"] = raised(lambda: timber.ingest_raw("x", "xml"))
for case in ("500", "401", "redirected", "empty"):
    # Each with a client of its own: the original's does not survive its first event loop.
    seen[f"flow {case}"] = raised(lambda: asyncio.run(make().flow_async("f")))

keyless = create_timberlogs("shop", "production")
seen["keyless"] = [
    raised(lambda: keyless.ingest_raw("x", "xml")),
    raised(lambda: asyncio.run(keyless.ingest_raw_async("x", "xml"))),
    raised(lambda: asyncio.run(keyless.flow_async("f"))),
    raised(lambda: keyless.info("")),
    keyless.flow("f").name,
]
seen["limits"] = [raised(partial(validate_log_payload, {"message": "m", **limit})) for limit in LIMITS]
seen["first of many"] = raised(lambda: validate_log_payload({"message": "", "source": "", "environment": ""}))
seen["bases"] = [base.__name__ for base in ValidationError.__mro__]
seen["misuse"] = [
    raised(lambda: timber.log(LogEntry("loud", "m"))),
    raised(lambda: make(min_level="loud").info("m")),
    raised(lambda: timber.should_log("loud")),
    raised(lambda: timber.info("m", None, {"tags": ["a"]}))[:2],
    raised(lambda: timber.info("m", options=LogOptions(tags=["x" * 51]))),
    raised(lambda: timber.flow("f").info("")),
]

client.LOGS_ENDPOINT = "http://127.0.0.1:9/v1/logs"
client.FLOWS_ENDPOINT = "http://127.0.0.1:9/v1/flows"
seen["raw unreachable"] = raised(lambda: once.ingest_raw("x", "json"))[:3]
seen["flow unreachable"] = raised(lambda: asyncio.run(make().flow_async("f")))[:2]
errors.clear()
away = make(on_error=errors.append)
away.info("lost").flush()
seen["flush unreachable"] = [outcome(error) for error in errors][:1]
report(seen)
