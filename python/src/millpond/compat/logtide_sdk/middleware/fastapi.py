"""Request logging for FastAPI: Starlette's."""

from __future__ import annotations

from millpond.compat.logtide_sdk.middleware.starlette import LogTideFastAPIMiddleware

__all__ = ["LogTideFastAPIMiddleware"]
