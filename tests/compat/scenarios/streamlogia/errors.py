"""What a caller learns of answers that are errors."""

import importlib
import sys
import threading
import urllib.error

from given import KEY, report

package = importlib.import_module(sys.argv[1])
seen = []
told = threading.Event()


def on_error(error):
    seen.append(described(error))
    told.set()


def described(error):
    answer = error.read().decode() if isinstance(error, urllib.error.HTTPError) else None
    return [type(error).__name__, str(error), getattr(error, "code", None), answer]


client = package.LogIngestorClient(KEY, "p-1", batch_size=10, on_error=on_error, console=False)
client.info("refused")
client.flush()
told.wait(10)
try:
    client.ingest([{"level": "WRONG"}])
except urllib.error.HTTPError as error:
    raised = described(error)
client.close()
report({"on_error": seen, "raised": raised})
