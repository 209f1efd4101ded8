"""Entries that are sent one by one, as they are without a batch size."""

import importlib
import sys

from given import KEY

client = importlib.import_module(sys.argv[1]).LogIngestorClient(KEY, "p-1", console=False)
for number in range(5):
    client.info(f"number {number}")
client.close()
