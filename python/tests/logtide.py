"""What the tests of the drop-in for logtide-sdk share: its options, and what a recorder got of it."""

from __future__ import annotations

import json
from typing import Any

from millpond.compat.logtide_sdk import ClientOptions, LogTideClient
from recording import Recorder

INGEST = "/api/v1/ingest"


def options(recorder: Recorder, **more: Any) -> ClientOptions:
    return ClientOptions(**{"api_url": recorder.address, "api_key": "lp_key", "flush_interval": 0, **more})


def entries(recorder: Recorder) -> list[dict[str, Any]]:
    """All that came. What is no JSON, such as `NaN`, fails."""
    logs = (json.loads(request.body, parse_constant=_refuse)["logs"] for request in recorder.requests)
    return [entry for batch in logs for entry in batch]


def logged(client: LogTideClient, recorder: Recorder, metadata: Any) -> dict[str, Any]:
    """The metadata that arrives, without the stamp."""
    client.info("svc", "m", metadata)
    client.flush()
    found = entries(recorder)[-1]["metadata"]
    del found["sdk"]
    return found


def _refuse(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
