from collections.abc import Sequence
from typing import Any, Final, final

__all__ = ["Attributes", "Client", "__version__"]

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
    def metrics(self) -> dict[str, Any]: ...
