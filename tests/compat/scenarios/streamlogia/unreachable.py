"""What a caller learns when nobody answers."""

import importlib
import sys
import urllib.error

from given import KEY, report

seen = []


def on_error(error):
    seen.append([type(error).__name__, isinstance(error, urllib.error.URLError), isinstance(error.reason, OSError)])


client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", batch_size=10, on_error=on_error, console=False
)
client.info("nobody is there")
client.flush()
try:
    client.ingest([])
except urllib.error.URLError as error:
    raised = [type(error).__name__, isinstance(error.reason, OSError)]
report([seen[0], raised])
client.close()
