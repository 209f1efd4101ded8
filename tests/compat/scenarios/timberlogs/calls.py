"""Every call that needs no event loop and no raw format."""

from __future__ import annotations

from given import KEY, report
from timberlogs import Flow, LogEntry, LogOptions, TimberlogsClient, TimberlogsConfig, create_timberlogs

timber = create_timberlogs(
    source="shop",
    environment="staging",
    api_key=KEY,
    dataset="orders",
    version="1.2.3",
    user_id="u1",
    session_id="s1",
    batch_size=3,
    flush_interval=0.1,
)
seen = {
    "chained": timber.debug("debug", {"attempt": 1}) is timber,
    "should_log": [timber.should_log(level) for level in ("debug", "info", "warn", "error")],
}
timber.info("info", {"cart": {"items": [1, 2.5, None, True]}, "name": "Jörg 😀"}, LogOptions(tags=["a", "b"]))
timber.warn("warn", options=LogOptions(tags=["c"]))
try:
    {}["missing"]
except KeyError as error:
    timber.error("error with exception", error, LogOptions(tags=["d"]))
timber.error("error with data", {"field": "email"})
timber.error("error alone")
timber.log(
    LogEntry(
        level="warn",
        message="entry",
        data={"custom": "data"},
        user_id="u9",
        session_id="s9",
        request_id="r9",
        error_name="Odd",
        error_stack="at line 1",
        tags=["e"],
        flow_id="flow-1",
        step_index=3,
        dataset="other",
        ip_address="192.0.2.7",
        country="AT",
    )
)
timber.log(LogEntry("info", "entry alone"))
timber.set_user_id("u2").set_session_id("s2").info("of another user")
timber.set_user_id(None).set_session_id(None).info("of nobody", {})

flow = timber.flow("checkout")
seen["flow"] = [flow.name, flow.id, isinstance(flow, Flow)]
flow.debug("cart").info("paying", {"amount": 99.99}).warn("slow", None, LogOptions(tags=["f"]))
seen["flow chained"] = flow.error("declined", ValueError("no money")) is flow
flow.error("ended", {"code": 7})
seen["flush"] = timber.flush()
timber.info("after the flush")
seen["disconnect"] = timber.disconnect()

config = TimberlogsConfig(source="shop", environment="production", api_key=KEY, min_level="warn", flush_interval=0)
with TimberlogsClient(config) as quiet:
    quiet.debug("unseen").info("unseen too")
    steps = quiet.flow("filtered")
    steps.info("unseen step").warn("first step").debug("unseen step").error("second step")
    seen["quiet should_log"] = [quiet.should_log(level) for level in ("debug", "info", "warn", "error")]
seen["entry"] = LogEntry("info", "m", tags=[], step_index=0, request_id="").to_dict()
seen["equal"] = [LogEntry("info", "m") == LogEntry("info", "m"), LogOptions(["a"]) == LogOptions(["a"]), repr(config)]
report(seen)
