"""Values that JSON does not have, as LogTide's SDK writes them.

Differs from what Millpond does by itself in few places (durations are seconds, bytes their ``repr()``); arrays and
frames of numpy, pandas and polars are left to the engine. Nothing here raises: what fails is its ``repr()``.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
import json
import math
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Union
from uuid import UUID

from millpond.compat._text import text_of

JsonDict = dict[str, "JsonValue"]
JsonValue = Union[int, float, str, bool, None, list["JsonValue"], tuple["JsonValue", ...], "JsonDict"]
EncoderFunction = Callable[[Any, "set[int]"], JsonValue]

#: Elements of a dimension of an array, above which :func:`logtide_json_dumps` writes the first and last five.
NUMPY_DIMENSION_MAX_SIZE = 10
#: As deep as the engine goes.
_DEPTH_MAX = 56
_CYCLE = "<circular reference>"
_TOO_DEEP = "<nested too deep>"


def safe_repr(obj: Any) -> str:
    """``repr()``, whatever comes of it."""
    return text_of(obj, repr)


def is_attrs(cls: type) -> bool:
    """Whether it is a class of attrs."""
    return hasattr(cls, "__attrs_attrs__")


def _text(o: Any, _seen: set[int]) -> str:
    return str(o)


def _isoformat(o: Any, _seen: set[int]) -> str:
    return str(o.isoformat())


def _bytes(o: Any, _seen: set[int]) -> str:
    return repr(bytes(o))[2:-1]


def _set(o: Any, seen: set[int]) -> list[Any]:
    try:
        members: Any = sorted(o)
    except Exception:
        members = o
    return [to_json_value(member, seen) for member in members]


def _sequence(o: Any, seen: set[int]) -> list[Any]:
    return [to_json_value(member, seen) for member in o]


def _mapping(o: Any, seen: set[int]) -> dict[str, Any]:
    return {key_text(key): to_json_value(value, seen) for key, value in o.items()}


_ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Interface,
    ipaddress.IPv6Network,
)
_ENCODERS: dict[type[Any], Callable[[Any, set[int]], Any]] = {
    Enum: lambda o, seen: to_json_value(o.value, seen),
    set: _set,
    frozenset: _set,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _sequence,
    datetime.date: _isoformat,
    datetime.time: _isoformat,
    datetime.timedelta: lambda o, _: o.total_seconds(),
    **dict.fromkeys((Decimal, UUID, PurePath, BaseException, *_ADDRESSES), _text),
    re.Pattern: lambda o, seen: to_json_value(o.pattern, seen),
    deque: _sequence,
}


def encoder_by_type() -> dict[type[Any], Callable[[Any, set[int]], Any]]:
    """What writes values of a type and of those below it."""
    return _ENCODERS


def key_text(key: Any) -> str:
    """A key of a dictionary, as ``json`` writes it."""
    if isinstance(key, str):
        return str(key.value) if isinstance(key, Enum) else key
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    return safe_repr(key)


def to_json_value(o: Any, seen: set[int]) -> Any:
    """The value made of what JSON has; ``seen`` are the ids of the containers that it is in."""
    if o is None or type(o) in (str, int, bool):
        return o
    if isinstance(o, float):
        return float(o) if math.isfinite(o) else _not_finite(o)
    if id(o) in seen:
        return _CYCLE
    if len(seen) >= _DEPTH_MAX:
        return _TOO_DEEP
    seen.add(id(o))
    try:
        return _converted(o, seen)
    except Exception:
        return safe_repr(o)
    finally:
        seen.discard(id(o))


def _not_finite(o: float) -> str:
    return "NaN" if math.isnan(o) else "Infinity" if o > 0 else "-Infinity"


def _converted(o: Any, seen: set[int]) -> Any:
    cls = type(o)
    for base in cls.__mro__:
        encoder = _ENCODERS.get(base)
        if encoder is not None:
            return encoder(o, seen)
    if isinstance(o, str):
        # Not `str(o)`, which asks the class.
        return str.__str__(o)
    if isinstance(o, int):
        return int.__int__(o)
    if isinstance(o, Mapping):
        return _mapping(o, seen)
    if isinstance(o, Sequence):
        return _sequence(o, seen)
    if isinstance(o, type):
        return safe_repr(o)
    members = _members(o)
    return safe_repr(o) if members is None else to_json_value(members, seen)


def _members(o: Any) -> Any:
    """What an object says that it consists of; ``None`` if it does not."""
    cls = type(o)
    if dataclasses.is_dataclass(o):
        return {member.name: getattr(o, member.name) for member in dataclasses.fields(o) if member.repr}
    if is_attrs(cls):
        return {member.name: getattr(o, member.name) for member in cls.__attrs_attrs__ if member.repr}
    module = cls.__module__.partition(".")[0]
    if module in ("numpy", "pandas", "polars"):
        return _of_library(o)
    if any(base.__module__.startswith("pydantic") for base in cls.__mro__):
        dump = getattr(o, "model_dump", None) or getattr(o, "dict", None)
        return dump() if callable(dump) else str(o)
    to_dict = getattr(o, "to_dict", None)
    return to_dict() if callable(to_dict) else None


def _of_library(o: Any) -> Any:
    """A number, array or frame, the latter in short; only for :func:`logtide_json_dumps`."""
    if getattr(o, "ndim", 0) == 0:
        return o.item()
    if hasattr(o, "head") and hasattr(o, "to_dict"):
        return o.head(NUMPY_DIMENSION_MAX_SIZE).to_dict()
    half = NUMPY_DIMENSION_MAX_SIZE // 2
    if len(o) > NUMPY_DIMENSION_MAX_SIZE:
        return [*o[:half], "...", *o[-half:]]
    return list(o)


def is_of_library(o: Any) -> bool:
    """Whether the engine knows better how to write it."""
    return type(o).__module__.partition(".")[0] in ("numpy", "pandas", "polars", "torch")


def logtide_json_dumps(obj: Any) -> str:
    """The value as JSON, without spaces; never fails."""
    value = to_json_value(obj, set())
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    # Half of a surrogate pair has no place in UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")
