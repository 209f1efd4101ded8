"""What it takes to log with a library: where it sends to, and how it is called.

All log the message ``order placed`` and five fields: ``order_id`` (a whole number, by which the sink knows the record),
``customer``, ``amount``, ``currency``, ``express``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where a contestant sends or writes to."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """The address of the sink."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def file(self) -> Path:
        """The file of those that write one."""
        return self.folder / "records.jsonl"


def _nothing() -> None: ...


@dataclass(frozen=True)
class Started:
    """A library that is ready: how it logs one record, how it is asked to deliver what it has, and how it is ended
    by a program that does so."""

    log: Callable[[int], None]
    flush: Callable[[], object] = _nothing
    close: Callable[[], object] = _nothing


def by_keywords(info: Callable[..., object]) -> Callable[[int], None]:
    """The call of those that take fields as keywords."""

    def log(number: int) -> None:
        info("order placed", order_id=number, customer="c-1234", amount=19.99, currency="EUR", express=True)

    return log


def stdlib_log(handler: logging.Handler) -> Callable[[int], None]:
    logger = logging.getLogger("bench")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    info = logger.info

    def log(number: int) -> None:
        info(
            "order placed",
            extra={"order_id": number, "customer": "c-1234", "amount": 19.99, "currency": "EUR", "express": True},
        )

    return log
