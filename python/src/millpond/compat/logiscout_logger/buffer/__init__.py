"""The logs of the request that is going on."""

from __future__ import annotations

from millpond.compat.logiscout_logger.buffer.requestBuffer import (
    add_log_to_buffer,
    flush_buffer,
    get_current_buffer,
    initialize_buffer,
    set_access_log_data,
    start_buffer,
)

__all__ = [
    "add_log_to_buffer",
    "flush_buffer",
    "get_current_buffer",
    "initialize_buffer",
    "set_access_log_data",
    "start_buffer",
]
