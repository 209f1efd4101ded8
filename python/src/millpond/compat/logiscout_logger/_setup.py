"""What ``init`` set up, where the modules of the package find it without importing each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from millpond.compat.logiscout_logger.processors.batch_manager import BatchManager
    from millpond.compat.logiscout_logger.processors.batch_transport import BatchTransportProcessor
    from millpond.compat.logiscout_logger.transports.http import HTTPTransport


@dataclass(frozen=True)
class Setup:
    """The arguments of ``init``, and what sends because of them: nothing outside of production."""

    service_name: str | None = None
    environment: str | None = None
    transport: HTTPTransport | None = None
    batch_manager: BatchManager | None = None
    batch_transport_processor: BatchTransportProcessor | None = None

    @property
    def is_production(self) -> bool:
        """Whether this is where logs are to be sent."""
        return self.environment == "production"


#: What a process has that did not call ``init``.
NONE = Setup()

_current = NONE


def current() -> Setup:
    """What counts now."""
    return _current


def use(setup: Setup) -> None:
    """Makes it count."""
    global _current
    _current = setup
