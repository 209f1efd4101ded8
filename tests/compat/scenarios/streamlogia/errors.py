"""What `on_error` learns when the server refuses a batch."""

import importlib
import sys
import urllib.error

from given import KEY, report

seen = []


def on_error(error):
    answer = error.read().decode() if isinstance(error, urllib.error.HTTPError) else None
    seen.append([type(error).__name__, isinstance(error, OSError), str(error), getattr(error, "code", None), answer])


client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", batch_size=10, on_error=on_error, console=False
)
client.info("refused")
client.flush()
report(seen[0])
client.close()
