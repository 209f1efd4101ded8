"""A log -> a line for people: where the application's ``logging`` has handlers, to them; else to stderr.

Nothing of ``logging`` is set up or changed here, and its levels count where it is set up. On stderr everything is
shown, ``debug`` unless it is production.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from millpond._log import _one_line
from millpond.compat._text import text_of
from millpond.compat.logiscout_logger import _times
from millpond.compat.logiscout_logger.events import LogEvent
from millpond.compat.logiscout_logger.levels import LEVEL_WEIGHTS, LogLevel

_RESET, _DIM, _BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
_RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN = (f"\x1b[{code}m" for code in range(31, 37))
_LEVEL_COLOURS = {"debug": _GREEN, "info": _GREEN, "warning": _YELLOW, "error": _RED, "critical": _RED}
#: Frames between ``logging`` and who called a logger: ``show``, ``_log``, and the level's methods of both loggers.
_FRAMES = 5


def show(log: LogEvent, *, prints_debug: bool) -> None:
    """Writes the line, and below it the traceback or stack that the log has."""
    logger = logging.getLogger("" if log.loggerName == "root" else log.loggerName)
    if logger.hasHandlers():
        weight = LEVEL_WEIGHTS[LogLevel(log.level)]
        if logger.isEnabledFor(weight):
            logger.log(weight, "%s", line(log, has_colours=False), stacklevel=_FRAMES)
        return
    stream = sys.stderr
    if stream is None or (log.level == "debug" and not prints_debug):
        return
    text = line(log, has_colours=stream.isatty() and "NO_COLOR" not in os.environ) + "\n"
    encoding = getattr(stream, "encoding", None) or "utf-8"
    # In one piece: other threads write too.
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def line(log: LogEvent, *, has_colours: bool) -> str:
    """``time [level    ] message                        [logger] name=value``; control characters are escaped, so that
    no message can forge a line."""

    def coloured(colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if has_colours else text

    parts = [
        coloured(_DIM, _times.with_z(log.timestamp)),
        f"[{coloured(_LEVEL_COLOURS[log.level] + _BOLD, log.level.ljust(9))}]",
        coloured(_BOLD, _one_line(log.message).ljust(30)),
        f"[{coloured(_BOLD + _BLUE, _one_line(log.loggerName))}]",
    ]
    for name, value in sorted(log.metadata.items()):
        if name != "stack":
            parts.append(f"{coloured(_CYAN, _one_line(name))}={coloured(_MAGENTA, _value(value))}")
    below = [log.metadata.get("stack"), (log.exception or {}).get("traceback")]
    return "\n".join([" ".join(parts), *(str(text) for text in below if text)])


def _value(value: Any) -> str:
    if isinstance(value, str):
        return repr(value) if not value.isprintable() or set(value) & set(" =\"'") else value
    return _one_line(text_of(value, repr))
