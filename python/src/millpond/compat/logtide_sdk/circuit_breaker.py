"""A circuit breaker for calls of your own. The clients of this package have one in their engine, which works alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from millpond.compat.logtide_sdk.enums import CircuitState
from millpond.compat.logtide_sdk.exceptions import CircuitBreakerOpenError

T = TypeVar("T")


class CircuitBreaker:
    """Opens after so many failures in a row; after a while lets calls through again, of which the first decides."""

    def __init__(self, threshold: int = 5, reset_timeout_ms: int = 30000) -> None:
        self.threshold = threshold
        self.reset_timeout_ms = reset_timeout_ms
        self._state = CircuitState.CLOSED
        self._failures = 0
        # A clock that nobody sets: an hour's change must not keep it open for an hour.
        self._failed_at = 0.0
        self._lock = Lock()

    @property
    def state(self) -> CircuitState:
        """The state now."""
        with self._lock:
            if (
                self._state is CircuitState.OPEN
                and (time.monotonic() - self._failed_at) * 1000 >= self.reset_timeout_ms
            ):
                self._state = CircuitState.HALF_OPEN
                self._failures = 0
            return self._state

    def record_success(self) -> None:
        """A call succeeded: closed."""
        with self._lock:
            self._state = CircuitState.CLOSED
            self._failures = 0

    def record_failure(self) -> None:
        """A call failed: open, if it was one too many or a trial."""
        with self._lock:
            self._failures += 1
            self._failed_at = time.monotonic()
            if self._state is CircuitState.HALF_OPEN or self._failures >= self.threshold:
                self._state = CircuitState.OPEN

    def call(self, func: Callable[[], T]) -> T:
        """Calls it and counts what comes of it.

        :raises CircuitBreakerOpenError: it is open, so nothing was called.
        """
        if self.state is CircuitState.OPEN:
            raise CircuitBreakerOpenError("not called: the circuit breaker is open")
        try:
            result = func()
        except Exception:
            self.record_failure()
            raise
        self.record_success()
        return result

    def reset(self) -> None:
        """As new."""
        self.record_success()
