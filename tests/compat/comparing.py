"""Compares what an original sends with what its drop-in sends: requests are made comparable, then every difference is
either allowed by a row of the system's table or a failure. Pure, but for reading the table."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Any

from recording import Request
from tables import rows

#: What stands for a thing that is not there.
ABSENT = "<absent>"


def _time(found: re.Match[str]) -> str:
    """How a time is spelled, without what time it is."""
    return f"<time{found['separator']}{re.sub('[0-9]', '0', found['fraction'] or '')}{found['zone'] or ''}>"


#: What differs from run to run, in any text, and what stands for it. The order counts.
PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"\d{4}-\d\d-\d\d(?P<separator>[T ])\d\d:\d\d:\d\d(?P<fraction>\.\d+)?(?P<zone>Z|[+-]\d\d:?\d\d)?"),
        _time,
    ),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\b\d+(\.\d+)?( ?ms)\b"), r"<number>\2"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "<address>"),
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "<pointer>"),
    (re.compile(r"/[^\s\"']*/(site-packages|python3\.\d+|src/millpond/compat)/"), "<library>/"),
)
#: Members that hold a duration, in any spelling.
DURATIONS = re.compile(r"^(duration|elapsed|latency)(_?(ms|s|seconds))?$", re.IGNORECASE)


@dataclass(frozen=True)
class Shape:
    """What a system's requests are made of."""

    #: As its page `docs/compat/SYSTEM.md` is called.
    system: str
    #: The entries in a request that carries some, taken out of its body: `None` if it is another request.
    take_entries: Callable[[Request, Any], list[Any] | None]
    #: The headers that must be the same, in lower case.
    headers: Sequence[str] = ("authorization", "content-type")
    #: Members, by name, whose value differs from run to run, and what stands for it.
    members: Mapping[str, str] = field(default_factory=dict)
    #: Further patterns as above.
    patterns: Sequence[tuple[re.Pattern[str], str]] = ()
    #: Whether entries come in the order in which they were logged.
    is_ordered: bool = True


@dataclass(frozen=True)
class Allowed:
    """A difference that the row of the table with this feature tells of, at this path, in which `*` is any one part."""

    feature: str
    path: str

    def __call__(self, difference: Difference) -> bool:
        # Part by part: one of an entry does not allow another one inside of it.
        patterns, parts = self.path.split("."), difference.path.split(".")
        return len(patterns) == len(parts) and all(map(fnmatchcase, parts, patterns))


@dataclass(frozen=True)
class Difference:
    """`path` has dots between its parts, such as `entries.0.meta.status`."""

    path: str
    original: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.path}\n    original: {json.dumps(self.original)}\n    ours:     {json.dumps(self.ours)}"


def comparable(shape: Shape, requests: Iterable[Request], report: Any = None) -> dict[str, Any]:
    """`entries` of all requests, flattened, since batches may be cut anywhere; `envelopes`, what is around them, each
    once; the other `requests` in their order; and the `report` of the scenario."""
    entries: list[Any] = []
    envelopes: list[Any] = []
    others: list[Any] = []
    for request in requests:
        body = _body(request)
        taken = shape.take_entries(request, body)
        headers = {name: request.headers[name] for name in shape.headers if name in request.headers}
        around = {"method": request.method, "path": request.path, "query": request.query, "headers": headers}
        if taken is None:
            others.append(_normal(shape, {**around, "body": body}))
            continue
        entries += taken
        envelope = _normal(shape, {**around, "body": body if isinstance(body, dict) else None})
        if envelope not in envelopes:
            envelopes.append(envelope)
    entries = [_normal(shape, entry) for entry in entries]
    if not shape.is_ordered:
        entries.sort(key=_text)
    return {"entries": entries, "envelopes": envelopes, "requests": others, "report": _normal(shape, report)}


def differences(original: Any, ours: Any, path: str = "") -> list[Difference]:
    """All of them, each at the deepest place that both have."""
    if isinstance(original, dict) and isinstance(ours, dict):
        names = [*original, *(name for name in ours if name not in original)]
        inner = ((name, original.get(name, ABSENT), ours.get(name, ABSENT)) for name in names)
        return [found for name, one, other in inner for found in differences(one, other, _join(path, name))]
    if isinstance(original, list) and isinstance(ours, list):
        return _in_lists(original, ours, path)
    same = type(original) is type(ours) and original == ours
    return [] if same else [Difference(path, original, ours)]


def judge(shape: Shape, found: Sequence[Difference], allowed: Sequence[Allowed]) -> None:
    """Fails with what is different and not allowed, and with what is allowed and not different."""
    features = {row.feature for row in rows(shape.system) if row.here in ("better", "differs")}
    unknown = {permit.feature for permit in allowed} - features
    assert not unknown, f"docs/compat/{shape.system}.md has no row `better` or `differs` for {sorted(unknown)}"
    unlisted = [one for one in found if not any(permit(one) for permit in allowed)]
    assert not unlisted, "differences that no row allows:\n" + "\n".join(map(str, unlisted))
    stale = [permit for permit in allowed if not any(map(permit, found))]
    assert not stale, f"differences that are allowed and do not occur: {stale}"


def _in_lists(original: list[Any], ours: list[Any], path: str) -> list[Difference]:
    found: list[Difference] = []
    matcher = SequenceMatcher(None, [_text(one) for one in original], [_text(one) for one in ours], autojunk=False)
    for kind, begin, end, our_begin, our_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        for offset in range(max(end - begin, our_end - our_begin)):
            one = original[begin + offset] if begin + offset < end else ABSENT
            other = ours[our_begin + offset] if our_begin + offset < our_end else ABSENT
            found += differences(one, other, _join(path, str(begin + offset)))
    return found


def _normal(shape: Shape, value: Any, name: str = "") -> Any:
    if name in shape.members and value is not None:
        return shape.members[name]
    if isinstance(value, dict):
        return {key: _normal(shape, inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_normal(shape, inner) for inner in value]
    if isinstance(value, str):
        for pattern, replacement in (*PATTERNS, *shape.patterns):
            value = pattern.sub(replacement, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and DURATIONS.match(name):
        # Whether it is an integer is part of the shape.
        return f"<{type(value).__name__}>"
    return value


def _body(request: Request) -> Any:
    try:
        return request.json if request.body else None
    except ValueError:
        return request.body.decode("utf-8", "replace")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
