"""Parts for a structlog chain of one's own. The loggers of this package need none of them."""

from __future__ import annotations

from millpond.compat.logiscout_logger.processors.batch_manager import BatchManager
from millpond.compat.logiscout_logger.processors.batch_transport import BatchTransportProcessor
from millpond.compat.logiscout_logger.processors.cleanup import remove_internal_fields
from millpond.compat.logiscout_logger.processors.context import push_to_request_buffer
from millpond.compat.logiscout_logger.processors.filters import (
    filter_error_and_above,
    filter_info_and_above,
    filter_warning_and_above,
)
from millpond.compat.logiscout_logger.processors.log_event import build_log_event
from millpond.compat.logiscout_logger.processors.transport import TransportProcessor

__all__ = [
    "BatchManager",
    "BatchTransportProcessor",
    "TransportProcessor",
    "build_log_event",
    "filter_error_and_above",
    "filter_info_and_above",
    "filter_warning_and_above",
    "push_to_request_buffer",
    "remove_internal_fields",
]
