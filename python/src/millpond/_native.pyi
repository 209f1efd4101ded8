from collections.abc import Callable, Sequence
from typing import Any, Final, final

from millpond._read_errors import ReadError

__all__ = [
    "DEFAULTS",
    "Attributes",
    "Client",
    "Flow",
    "LogStream",
    "Reader",
    "Shipper",
    "Stopper",
    "Written",
    "__version__",
    "after_fork",
    "begin_ending",
    "insist_on_sigterm",
    "sigterm_is_heard",
]

__version__: Final[str]
DEFAULTS: Final[dict[str, Any]]

def begin_ending() -> None: ...
def after_fork() -> None: ...
def insist_on_sigterm() -> None: ...
def sigterm_is_heard() -> None: ...

@final
class Attributes:
    def __new__(cls, values: dict[str, object], flow: Flow | None = None) -> Attributes: ...
    def merged(self, values: dict[str, object], fork: bool = False, flow: Flow | None = None) -> Attributes: ...
    def without(self, names: Sequence[str]) -> Attributes: ...
    def get(self, name: str) -> object: ...
    def as_dict(self) -> dict[str, object]: ...
    def leave(self, level: int, message: object, category: object, fields: dict[str, object]) -> None: ...

@final
class Flow:
    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def next_step(self) -> int: ...

@final
class Client:
    def __new__(cls, options: dict[str, object]) -> Client: ...
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
    def preview(
        self,
        level: int,
        message: object,
        args: tuple[object, ...],
        logger: str | None,
        context: Attributes | None,
        bound: Attributes | None,
        fields: dict[str, object],
        exc_info: object,
        /,
    ) -> str | None: ...
    def enabled(self, level: int) -> bool: ...
    def set_min_level(self, level: int) -> None: ...
    def flush(self, timeout_s: float) -> tuple[int, int]: ...
    def persist(self, timeout_s: float) -> tuple[int, int]: ...
    def close(self, timeout_s: float) -> tuple[int, int]: ...
    def metrics(self) -> dict[str, Any]: ...
    def reset_metrics(self) -> None: ...
    def flow(self, name: str) -> Flow: ...
    def flow_from_server(self, name: str) -> Flow: ...
    def resume_flow(self, id: str, next_step: int) -> Flow: ...
    def reader(self) -> Reader: ...

@final
class Shipper:
    def __new__(
        cls,
        url: str,
        headers: Sequence[tuple[str, str]],
        around: tuple[str, str],
        drop_refused: bool,
        on_failure: Callable[[int | None, str, str, int, int, bool], object] | None,
        options: dict[str, object],
        /,
    ) -> Shipper: ...
    def ship(self, entry: object) -> bool: ...
    def hasten(self) -> None: ...
    def flush(self, timeout_s: float) -> tuple[int, int]: ...
    def flush_hopefully(self, timeout_s: float) -> bool: ...
    def persist(self, timeout_s: float) -> tuple[int, int]: ...
    def close(self, timeout_s: float) -> tuple[int, int]: ...
    def metrics(self) -> dict[str, Any]: ...
    def reset_metrics(self) -> None: ...
    def events(self, url: str, headers: Sequence[tuple[str, str]]) -> LogStream: ...
    def request(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Sequence[tuple[str, str]],
        attempts_max: int = 1,
        timeout_s: float | None = None,
        stopper: Stopper | None = None,
        /,
    ) -> tuple[int, str, list[tuple[str, str]]]: ...

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
    def key(self, *, timeout_s: float | None = None, stopper: Stopper | None = None) -> str: ...
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

@final
class Written:
    def __new__(cls, value: object, bytes_max: int | None = None) -> Written: ...
    def __len__(self) -> int: ...
