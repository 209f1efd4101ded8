"""Request logging for FastAPI: Starlette's."""

from __future__ import annotations

from millpond.compat.logtide_sdk.middleware.starlette import LogTideFastAPIMiddleware
from millpond.compat.logtide_sdk.middleware.starlette import LogTideStarletteMiddleware as LogTideStarletteMiddleware

__all__ = ["LogTideFastAPIMiddleware"]
