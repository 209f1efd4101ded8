"""Request logging for the frameworks that are installed."""

from __future__ import annotations

__all__: list[str] = []

try:
    from millpond.compat.logtide_sdk.middleware.flask import LogTideFlaskMiddleware as LogTideFlaskMiddleware
except ImportError:
    pass
else:
    __all__ += ["LogTideFlaskMiddleware"]

try:
    from millpond.compat.logtide_sdk.middleware.django import LogTideDjangoMiddleware as LogTideDjangoMiddleware
except ImportError:
    pass
else:
    __all__ += ["LogTideDjangoMiddleware"]

try:
    from millpond.compat.logtide_sdk.middleware.starlette import LogTideFastAPIMiddleware as LogTideFastAPIMiddleware
    from millpond.compat.logtide_sdk.middleware.starlette import (
        LogTideStarletteMiddleware as LogTideStarletteMiddleware,
    )
except ImportError:
    pass
else:
    __all__ += ["LogTideFastAPIMiddleware", "LogTideStarletteMiddleware"]
