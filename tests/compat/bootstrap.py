"""Starts a scenario with the original package or with the drop-in behind its import name, at the address given.

``python bootstrap.py VARIANT PACKAGE FILE [ARGUMENT…]``. The scenario is the same file either way; of an original only
the hard-wired address is changed.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys


def main(variant: str, package: str, file: str, *arguments: str) -> None:
    sys.argv = [file, *arguments]
    # Scenarios share `given` and import nothing else from here.
    sys.path[0] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
    address = os.environ["COMPAT_ADDRESS"]
    if variant == "ours":
        import millpond.compat

        millpond.compat.install(package, address=address or None)
    elif address:
        redirect(package, address)
    runpy.run_path(file, run_name="__main__")


def redirect(package: str, address: str) -> None:
    """Changes the address of an original that has it hard-wired."""
    if package == "timberlogs":
        client = importlib.import_module("timberlogs.client")
        client.LOGS_ENDPOINT = f"{address}/v1/logs"
        client.FLOWS_ENDPOINT = f"{address}/v1/flows"
    elif package == "logiscout_logger":
        importlib.import_module("logiscout_logger.logger")._ENDPOINT_URL = f"{address}/ingest"
    elif package == "logingestor":
        importlib.import_module("logingestor").DEFAULT_BASE_URL = address
    elif package == "streamlogia":
        os.environ["STREAMLOGIA_API_URL"] = address


if __name__ == "__main__":
    main(*sys.argv[1:])
