"""Reading with the client of the process."""

from __future__ import annotations

from millpond import _native
from millpond._reading import Reading
from millpond._runtime import runtime


class _Reading(Reading):
    """Reads from where the process sends to."""

    def __init__(self) -> None:
        self._made: tuple[_native.Client, _native.Reader] | None = None

    def _reader(self) -> _native.Reader:
        """One for each client, since its connections are kept."""
        client = runtime.client
        if client is None:
            raise RuntimeError("millpond.init() was not called: there is no server to read from")
        if self._made is None or self._made[0] is not client:
            self._made = (client, client.reader())
        return self._made[1]


_reading = _Reading()
query = _reading.query
logs = _reading.logs
by_trace_id = _reading.by_trace_id
aggregated = _reading.aggregated
stream = _reading.stream
tail = _reading.tail
ingest_raw = _reading.ingest_raw
