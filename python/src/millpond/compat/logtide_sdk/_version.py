"""What the package calls itself: the version of logtide-sdk whose interface it has."""

from __future__ import annotations

SDK_NAME = "logtide-python"
VERSION = "0.10.0"
