"""What `ingest` raises when the server refuses entries."""

import importlib
import sys
import urllib.error

from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", console=False
)
try:
    client.ingest([{"level": "WRONG"}])
except urllib.error.HTTPError as error:
    headers = {name.lower(): value for name, value in error.headers.items()}
    report([str(error), error.code, error.reason, error.url, headers["x-limit"], error.read().decode()])
client.close()
