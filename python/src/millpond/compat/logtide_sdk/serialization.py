"""An exception as metadata. Whatever the exception is like, this returns: chains may be circles, and ``str()`` of an
exception is code of the application."""

from __future__ import annotations

import traceback
from typing import Any

from millpond.compat._text import text_of

#: Causes of causes; LogTide's server reads no more.
_CAUSES_MAX = 10
#: Frames of one exception; LogTide's server reads no more. Those of the middle are left out.
_FRAMES_MAX = 100


def serialize_exception(exc: BaseException) -> dict[str, Any]:
    """Type, message, frames (outermost first) and printed traceback; and the same of what it was raised from."""
    described = _described(exc)
    inner, seen = described, {id(exc)}
    cause = exc.__cause__
    while cause is not None and id(cause) not in seen and len(seen) <= _CAUSES_MAX:
        seen.add(id(cause))
        inner["cause"] = inner = _described(cause)
        cause = cause.__cause__
    return described


def _described(exc: BaseException) -> dict[str, Any]:
    return {
        "type": type(exc).__name__,
        "message": text_of(exc),
        "language": "python",
        "stacktrace": _frames(exc),
        "raw": _raw(exc),
    }


def _frames(exc: BaseException) -> list[dict[str, Any]]:
    frames = [
        {"file": frame.f_code.co_filename, "function": frame.f_code.co_name, "line": line}
        for frame, line in traceback.walk_tb(exc.__traceback__)
    ]
    half = _FRAMES_MAX // 2
    return frames if len(frames) <= _FRAMES_MAX else frames[:half] + frames[-half:]


def _raw(exc: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    except Exception:
        return f"{type(exc).__name__}: {text_of(exc)}\n"
