"""Every method of the client, one entry at a time."""

import importlib
import sys

from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", source="shop", batch_size=100
)
returned = [
    client.debug("cache miss", meta={"key": "user:abc"}),
    client.info("order placed", meta={"order": {"id": "ord_99", "lines": [1, 2.5, None, True]}}, tags=["orders", "eu"]),
    client.warn("rate limit approaching", tags=["alerts"]),
    client.error("payment failed"),
    client.flush(),
    client.flush(),
]
entry = {
    "projectId": "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d",
    "level": "WARN",
    "message": "by hand",
    "source": "elsewhere",
    "timestamp": "2024-01-01T00:00:00Z",
    "tags": ["t"],
    "meta": {"n": 2**60},
}
answer = client.ingest([entry])
returned += [client.close(), client.close()]
report({"returned": returned, "answer": answer})
