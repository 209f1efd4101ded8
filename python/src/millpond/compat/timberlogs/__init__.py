"""A drop-in for ``timberlogs``, the client of Timberlogs, on Millpond's engine. What differs from the original is in
``docs/compat/timberlogs.md``."""

from __future__ import annotations

from millpond.compat.timberlogs.client import Flow, TimberlogsClient, create_timberlogs
from millpond.compat.timberlogs.types import (
    FORMAT_CONTENT_TYPES,
    Environment,
    FormatName,
    IngestRawOptions,
    LogEntry,
    LogLevel,
    LogOptions,
    TimberlogsConfig,
    ValidationError,
)

#: That of the original, whose package 1.2.1 says 1.2.0.
__version__ = "1.2.0"

__all__ = [
    "FORMAT_CONTENT_TYPES",
    "Environment",
    "Flow",
    "FormatName",
    "IngestRawOptions",
    "LogEntry",
    "LogLevel",
    "LogOptions",
    "TimberlogsClient",
    "TimberlogsConfig",
    "ValidationError",
    "__version__",
    "create_timberlogs",
]
