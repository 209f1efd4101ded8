"""What a scenario is given, and how it tells what it saw."""

from __future__ import annotations

import json
import os
from typing import Any

#: `original` or `ours`. A scenario rarely has a reason to ask.
VARIANT = os.environ["COMPAT_VARIANT"]
#: Of the server, such as `http://127.0.0.1:4480`.
ADDRESS = os.environ["COMPAT_ADDRESS"]
KEY = os.environ["COMPAT_KEY"]


def report(value: Any) -> None:
    """Hands the test a value, of which JSON is made; what JSON has no type for, by `repr`. Once at most."""
    with open(os.environ["COMPAT_REPORT"], "x", encoding="utf-8") as file:
        json.dump(value, file, default=repr)
