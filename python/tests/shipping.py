"""Shippers to a server on loopback that is not Millpond's."""

from __future__ import annotations

from typing import Any

import millpond
from recording import Recorder

#: Longer than any test waits.
HOUR_S = 3600.0


class Made:
    """Makes shippers to the peer, which try again at once and send when they are flushed."""

    def __init__(self, peer: Recorder) -> None:
        self._peer = peer
        self._shippers: list[millpond.Shipper] = []

    def __call__(self, **options: Any) -> millpond.Shipper:
        defaults = {"retry_delay_s": 0.001, "retry_delay_s_max": 0.001, "batch_age_s": HOUR_S}
        shipper = millpond.Shipper(f"{self._peer.address}/in?a=b", **{**defaults, **options})
        self._shippers.append(shipper)
        return shipper

    def close(self) -> None:
        for shipper in self._shippers:
            shipper.close(0)
