"""What a record says about a body: parsed if that makes its keys known to redaction, text if it is text, otherwise its
size. Copies what passes by, up to a limit; reads nothing itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

#: Bytes of a body that are kept if ``capture_body=True``. With the overhead of a record well below its limit.
BODY_BYTES = 8 * 1024
_TEXT_TYPES = ("application/xml", "application/javascript", "application/graphql")


class Body:
    """The beginning of a body, and how long all of it is."""

    __slots__ = ("_bytes_max", "_parts", "_room", "size")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._room = bytes_max
        self._parts: list[bytes] = []
        #: Bytes that passed by.
        self.size = 0

    def add(self, part: Any) -> None:
        """Keeps a copy of the part, as far as there is room."""
        size = len(part)
        self.size += size
        if size and self._room > 0:
            kept = bytes(part[: self._room])
            self._room -= len(kept)
            self._parts.append(kept)

    def value(self, content_type: str | None, encoding: str | None) -> object:
        """What is recorded; ``None`` for no body. JSON and forms are parsed, so that what is redacted by key is
        redacted in them. Where only a part of them was kept nothing could be told from it, so only the size is."""
        if not self.size:
            return None
        kind, _, parameters = (content_type or "application/octet-stream").partition(";")
        kind = kind.strip().lower()
        described = f"[{self.size} bytes of {kind}]"
        if encoding and encoding.strip().lower() != "identity":
            return f"[{self.size} bytes of {kind}, {encoding.strip().lower()}]"
        raw = b"".join(self._parts)
        is_json = kind == "application/json" or kind.endswith("+json")
        is_form = kind == "application/x-www-form-urlencoded"
        try:
            if is_json or is_form:
                if self.size > self._bytes_max:
                    return described
                return json.loads(raw) if is_json else _form(raw)
            if kind.startswith("text/") or kind.endswith("+xml") or kind in _TEXT_TYPES:
                charset = parameters.partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
                text = raw.decode(charset, "replace")
                return text if self.size <= self._bytes_max else f"{text}… [{self.size} bytes]"
        except (ValueError, LookupError, RecursionError):
            pass
        return described


def _form(raw: bytes) -> dict[str, str | list[str]]:
    fields = parse_qs(raw.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
    return {name: values[0] if len(values) == 1 else values for name, values in fields.items()}
