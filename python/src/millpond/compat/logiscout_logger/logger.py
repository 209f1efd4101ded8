"""``init``, ``get_logger`` and the loggers."""

from __future__ import annotations

import threading
import warnings
from enum import Enum
from typing import Any

from millpond.compat import _address
from millpond.compat.logiscout_logger import _setup
from millpond.compat.logiscout_logger._source import Source
from millpond.compat.logiscout_logger.processors.batch_manager import BatchManager
from millpond.compat.logiscout_logger.processors.batch_transport import BatchTransportProcessor
from millpond.compat.logiscout_logger.transports.http import HTTPTransport

#: Where the original sends, whatever it is told.
_ORIGINAL_ADDRESS = "http://47.130.208.43:3000"
_lock = threading.Lock()


class Environment(Enum):
    """Whether logs are sent."""

    DEV = "development"
    PROD = "production"


#: The console only.
DEV = Environment.DEV
#: The console and the server.
PROD = Environment.PROD


class LogiScoutLogger:
    """A method for each level. Keywords become metadata; with ``send=False`` a log is written to the console only. None
    of them raises because of a value.

    :param logger: what ``get_logger`` puts behind it, or a logger of structlog.
    """

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def debug(self, msg: str, send: bool = True, **kwargs: Any) -> None:
        """For the developer."""
        self._logger.debug(msg, _send=send, **kwargs)

    def info(self, msg: str, send: bool = True, **kwargs: Any) -> None:
        """Normal operation."""
        self._logger.info(msg, _send=send, **kwargs)

    def warning(self, msg: str, send: bool = True, **kwargs: Any) -> None:
        """Might be a problem."""
        self._logger.warning(msg, _send=send, **kwargs)

    def error(self, msg: str, send: bool = True, **kwargs: Any) -> None:
        """A failure; with ``exc_info=True`` the traceback of the exception that is being handled."""
        self._logger.error(msg, _send=send, **kwargs)

    def critical(self, msg: str, send: bool = True, **kwargs: Any) -> None:
        """The service can't go on."""
        self._logger.critical(msg, _send=send, **kwargs)

    def bind(self, **kwargs: Any) -> LogiScoutLogger:
        """A logger whose logs have these keywords too. With ``send=False`` none of them is sent."""
        return LogiScoutLogger(self._logger.bind(**kwargs))


def init(*, api_token: str = "", service_name: str, env: Environment) -> None:
    """Sets the process up, once: what comes after the first call does nothing.

    :param api_token: of the server; not needed in ``DEV``.
    :param service_name: what each log is said to be from.
    :param env: ``PROD`` (or ``"production"``) sends, ``DEV`` writes to the console only.
    """
    environment: Any = env.value if isinstance(env, Environment) else env
    with _lock:
        if _setup.current() is not _setup.NONE:
            return
        if environment not in {known.value for known in Environment}:
            _warn(f"env is {env!r}, expected DEV or PROD: no log is sent")
        elif environment == PROD.value and not api_token:
            _warn("api_token is empty: no log is sent")
        _setup.use(_made(environment, service_name, api_token))


def _warn(text: str) -> None:
    warnings.warn(f"logiscout_logger.init: {text}", RuntimeWarning, stacklevel=3)


def _made(environment: Any, service_name: str, api_token: str) -> _setup.Setup:
    if environment != PROD.value or not api_token:
        return _setup.Setup(service_name, environment)
    url = _address.address("logiscout_logger", _ORIGINAL_ADDRESS) + "/ingest"
    transport = HTTPTransport(url, api_token)
    return _setup.Setup(
        service_name, environment, transport, BatchManager(transport), BatchTransportProcessor(transport)
    )


def get_logger(name: str) -> LogiScoutLogger:
    """The logger of this name. Works before :func:`init`, on the console."""
    return LogiScoutLogger(Source(str(name) if name else "root"))


def get_service_name() -> str | None:
    """What :func:`init` was given."""
    return _setup.current().service_name


def get_environment() -> str | None:
    """``development`` or ``production``, as :func:`init` was given."""
    return _setup.current().environment


def is_production() -> bool:
    """Whether :func:`init` was given ``PROD``."""
    return _setup.current().is_production


def get_batch_manager() -> BatchManager | None:
    """What sends; ``None`` if nothing is sent."""
    return _setup.current().batch_manager


def get_batch_transport_processor() -> BatchTransportProcessor | None:
    """The same, for whole requests at once."""
    return _setup.current().batch_transport_processor


__all__ = [
    "DEV",
    "PROD",
    "Environment",
    "LogiScoutLogger",
    "get_batch_manager",
    "get_batch_transport_processor",
    "get_environment",
    "get_logger",
    "get_service_name",
    "init",
    "is_production",
]
