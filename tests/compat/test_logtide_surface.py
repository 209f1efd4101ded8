"""The drop-in shows what logtide-sdk shows."""

from __future__ import annotations

from comparing import Allowed, Shape
from conftest import SameSurface

SHAPE = Shape("logtide", lambda _request, _body: None)


def test_names_signatures_and_defaults_are_those_of_the_original(same_surface: SameSurface) -> None:
    key, imported = "Keys in the text of options", "Names that a module only imports"
    same_surface(
        "logtide_sdk",
        "logtide_sdk",
        SHAPE,
        [
            Allowed(key, "*.names.ClientOptions.fields.1.3"),
            Allowed(key, "*.names.ClientOptions.fields.2.3"),
            *(
                Allowed(imported, f"logtide_sdk/*client.names.{name}")
                for name in (
                    "CircuitBreaker",
                    "CircuitBreakerOpenError",
                    "CircuitState",
                    "ClientMetrics",
                    "classify_failure",
                    "generate_trace_id",
                    "logtide_json_dumps",
                )
            ),
            Allowed(imported, "logtide_sdk/middleware/*.names.LogTideClient"),
            Allowed(imported, "logtide_sdk/middleware/*.names.serialize_exception"),
        ],
    )
