from collections.abc import Sequence
from typing import Any, Final, final

from millpond._read_errors import ReadError

__all__ = ["Attributes", "Client", "LogStream", "Reader", "Stopper", "__version__"]

__version__: Final[str]

@final
class Attributes:
    def __new__(cls, values: dict[str, object]) -> Attributes: ...
    def merged(self, values: dict[str, object]) -> Attributes: ...
    def without(self, names: Sequence[str]) -> Attributes: ...
    def get(self, name: str) -> object: ...
    def as_dict(self) -> dict[str, object]: ...

@final
class Client:
    def __new__(
        cls,
        *,
        endpoint: str | None = None,
        api_key: str | None = None,
        service: str | None = None,
        environment: str | None = None,
        version: str | None = None,
        host: str | None = None,
        min_level: int = 1,
        compression: str | None = None,
        queue_bytes_max: int | None = None,
        batch_records_max: int | None = None,
        batch_age_s: float | None = None,
        request_timeout_s: float | None = None,
    ) -> Client: ...
    def log(
        self,
        level: int,
        message: object,
        args: tuple[object, ...],
        logger: str | None,
        context: Attributes | None,
        bound: Attributes | None,
        fields: dict[str, object],
        exc_info: object,
        time_ns: int | None = None,
        /,
    ) -> None: ...
    def enabled(self, level: int) -> bool: ...
    def flush(self, timeout_s: float) -> bool: ...
    def close(self, timeout_s: float) -> bool: ...
    def reader(self) -> Reader: ...
    def metrics(self) -> dict[str, Any]: ...

@final
class LogStream:
    @property
    def outage(self) -> ReadError | None: ...
    @property
    def position(self) -> str | None: ...
    def next(self) -> str | None: ...
    def is_ready(self) -> bool: ...
    def wait(self) -> None: ...
    def stop(self) -> None: ...

@final
class Reader:
    def query(
        self,
        q: str,
        *,
        level: str | None = None,
        service: str | None = None,
        trace_id: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        timeout_s: float | None = None,
        stopper: Stopper | None = None,
    ) -> str: ...
    def by_trace_id(self, trace_id: str, *, timeout_s: float | None = None, stopper: Stopper | None = None) -> str: ...
    def aggregated(
        self,
        q: str,
        *,
        level: str | None = None,
        service: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        interval: str | None = None,
        timeout_s: float | None = None,
        stopper: Stopper | None = None,
    ) -> str: ...
    def stream(
        self,
        q: str,
        *,
        level: str | None = None,
        service: str | None = None,
        resume_after: str | None = None,
        silence_max_s: float | None = None,
    ) -> LogStream: ...
    def ingest_raw(
        self,
        format: str,
        body: bytes,
        *,
        level: str | None = None,
        service: str | None = None,
        environment: str | None = None,
        dataset: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
        request_id: str | None = None,
        flow_id: str | None = None,
        tags: Sequence[str] = ...,
        retry_for_s: float | None = None,
        stopper: Stopper | None = None,
    ) -> str: ...

@final
class Stopper:
    def __new__(cls) -> Stopper: ...
    def stop(self) -> None: ...
