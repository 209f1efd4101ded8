"""Entries that are sent one by one, as they are without a batch size."""

import importlib
import sys

from given import KEY

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", console=False
)
for number in range(5):
    client.info(f"number {number}")
client.close()
