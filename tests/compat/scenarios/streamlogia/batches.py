"""Batches of three, and what is left when the client is closed."""

import importlib
import sys

from given import KEY

client = importlib.import_module(sys.argv[1]).LogIngestorClient(
    KEY, "7f1f8f68-6a0c-4f0e-9a0b-0b6a3a0b1c2d", batch_size=3, console=False
)
for number in range(8):
    client.info(f"number {number}", meta={"number": number})
client.close()
