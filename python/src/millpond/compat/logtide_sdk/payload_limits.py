"""Cuts metadata down, and makes of it what JSON has, in one walk that leaves the caller's values alone.

For each value, in this order: one whose field is excluded is gone with all that is in it; base64 is taken out; a long
text is cut. What is inside of tuples, sets and objects is looked at like the rest.
"""

from __future__ import annotations

import re
from typing import Any

from millpond.compat.logtide_sdk.json_encoder import is_of_library, key_text, to_json_value
from millpond.compat.logtide_sdk.models import PayloadLimitsOptions

_EXCLUDED = "[EXCLUDED]"
_BASE64_REMOVED = "[BASE64 DATA REMOVED]"
#: Shorter texts are not taken for base64.
_BASE64_CHARS_MIN = 100
_BASE64 = re.compile(r"[A-Za-z0-9+/=]+")
_LINE_ENDS = str.maketrans("", "", "\r\n")
#: Most bytes of a character in JSON, as `\u001f`.
CHARACTER_BYTES_MAX = 6
#: More than a number takes, with its comma.
_NUMBER_BYTES_MAX = 32


def apply_payload_limits(value: Any, path: str, lim: PayloadLimitsOptions) -> Any:
    """The value within its limits; ``path`` is the name of its field, with those around it before a dot."""
    return LimitedWalk(lim).limited(value, path.rpartition(".")[2])


class LimitedWalk:
    """One walk; ``bytes_max`` is what it found takes at most as JSON."""

    def __init__(self, limits: PayloadLimitsOptions) -> None:
        self._limits = limits
        self._excluded = frozenset(limits.exclude_fields)
        self._above: set[int] = set()
        self.bytes_max = 0

    def limited(self, value: Any, name: str) -> Any:
        """The value of the field of this name."""
        if value is None:
            self.bytes_max += _NUMBER_BYTES_MAX
            return None
        if name in self._excluded:
            self.bytes_max += _NUMBER_BYTES_MAX
            return _EXCLUDED
        kind = type(value)
        if kind is str:
            return self._text(value)
        if kind is dict:
            return self._container(value, name)
        if kind is list:
            return self._container(value, name)
        if kind is int or kind is bool:
            self.bytes_max += _NUMBER_BYTES_MAX + (value.bit_length() // 3 if kind is int else 0)
            return value
        if is_of_library(value):
            self.bytes_max += 1 << 40  # Nobody knows: it is to be measured.
            return value
        plain = to_json_value(value, self._above)
        return plain if isinstance(plain, float) else self.limited(plain, name)

    def _container(self, value: Any, name: str) -> Any:
        if id(value) in self._above or len(self._above) >= 56:
            return to_json_value(value, self._above)
        self._above.add(id(value))
        try:
            if isinstance(value, dict):
                return {key: self._field(key, member) for key, member in self._keyed(value)}
            return [self.limited(member, f"{name}[{index}]") for index, member in enumerate(value)]
        finally:
            self._above.discard(id(value))

    def _keyed(self, value: dict[Any, Any]) -> list[tuple[str, Any]]:
        """A copy, because another thread may change the dictionary."""
        return [(key_text(key), member) for key, member in value.copy().items()]

    def _field(self, key: str, member: Any) -> Any:
        self.bytes_max += len(key) * CHARACTER_BYTES_MAX + 4
        return self.limited(member, key.rpartition(".")[2] if "." in key else key)

    def _text(self, text: str) -> str:
        size = len(text)
        if size >= _BASE64_CHARS_MIN and _is_base64(text):
            text = _BASE64_REMOVED
        elif size > self._limits.max_field_size:
            text = text[: self._limits.max_field_size] + self._limits.truncation_marker
        self.bytes_max += len(text) * CHARACTER_BYTES_MAX + 4
        return text


def _is_base64(text: str) -> bool:
    """A data URL, or nothing but characters of base64 and ends of lines."""
    if text.startswith("data:"):
        return True
    # Most texts have a space early on.
    if _BASE64.fullmatch(text, 0, 64) is None and "\n" not in text and "\r" not in text:
        return False
    joined = text.translate(_LINE_ENDS)
    return len(joined) >= _BASE64_CHARS_MIN and _BASE64.fullmatch(joined) is not None
