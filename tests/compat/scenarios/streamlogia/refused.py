"""What a server says of a key that it does not know."""

import importlib
import json
import sys
import urllib.error

from given import KEY, report

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", console=False
)
try:
    client.ingest(
        [{"projectId": "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", "level": "INFO", "message": "m", "source": "s"}]
    )
except urllib.error.HTTPError as error:
    answer = json.load(error)
    report([error.code, [answer["error"], answer["code"]]])
