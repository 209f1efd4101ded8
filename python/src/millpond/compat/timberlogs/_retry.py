"""When a request that failed is made again. Pure: the caller makes the requests and waits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from millpond.compat.timberlogs.types import RetryConfig

#: Seconds that a request may take, as with the original.
REQUEST_TIMEOUT_S = 30.0
#: Beside 5xx, what may be answered otherwise the next time. The original retries whatever fails.
_WORTH_RETRYING = (408, 425, 429)
#: Beside redirects, what says that key or address are wrong, whatever is sent.
_REFUSALS_OF_ALL = (401, 403, 404, 405, 410)


class Retry(NamedTuple):
    """A :class:`RetryConfig` with what it leaves open filled in."""

    attempts: int
    delay_s: float
    delay_s_max: float

    @classmethod
    def of(cls, config: RetryConfig) -> Retry:
        """Less than one attempt is none, which would keep all logs for ever: there is always one."""
        delay_s_max = max(0.001, config.get("max_delay_ms", 30_000) / 1000)
        delay_s = max(0.001, config.get("initial_delay_ms", 1000) / 1000)
        return cls(1 + max(0, config.get("max_retries", 3)), min(delay_s, delay_s_max), delay_s_max)

    def waits(self) -> Iterator[float]:
        """The seconds between the attempts."""
        wait_s = self.delay_s
        for _ in range(self.attempts - 1):
            yield wait_s
            wait_s = min(2 * wait_s, self.delay_s_max)

    @property
    def cycle_s(self) -> float:
        """The seconds that all attempts take at most."""
        return self.attempts * REQUEST_TIMEOUT_S + sum(self.waits())


def is_worth_retrying(status: int) -> bool:
    """Whether the same request can get another answer than this one."""
    return status >= 500 or status in _WORTH_RETRYING


def is_refusal_of_all(status: int) -> bool:
    """Whether the server takes nothing from this client as it is set up."""
    return 300 <= status < 400 or status in _REFUSALS_OF_ALL


def asked_wait_s(headers: Mapping[str, str], body: str) -> float:
    """The seconds that an answer asks to wait, in a header or, as Timberlogs does, in its body; 0 if it does not."""
    asked: object = headers.get("retry-after")
    if asked is None:
        try:
            answer = json.loads(body)
        except ValueError:
            return 0.0
        asked = answer.get("retryAfter") if isinstance(answer, dict) else None
    try:
        return max(0.0, float(asked)) if isinstance(asked, (str, int, float)) else 0.0
    except (ValueError, OverflowError):
        return 0.0  # A date, or no time that anybody could wait.
