"""Every kind of value, as it arrives."""

from __future__ import annotations

import array
import collections
import ctypes
import dataclasses
import datetime
import decimal
import enum
import fractions
import ipaddress
import itertools
import pathlib
import re
import shelve
import sys
import types
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import pytest

import millpond
from recorder import Recorder


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Flags(enum.IntFlag):
    A = 1
    B = 2


class Text(str):
    def __str__(self) -> str:
        raise RuntimeError("never asked")


class Whole(int):
    def __repr__(self) -> str:
        return "whole"


class Point(NamedTuple):
    x: int
    y: float


@dataclasses.dataclass
class Order:
    id: int
    tags: list[str]


@dataclasses.dataclass
class Account:
    kind: ClassVar[str] = "account"
    name: str
    pin: str = dataclasses.field(repr=False)
    limit: int = dataclasses.field(default=5, init=False)

    @property
    def balance(self) -> int:
        raise AssertionError("a property is not a member")


class Slotted:
    __slots__ = ("a", "missing")

    def __init__(self) -> None:
        self.a = 1

    def __repr__(self) -> str:
        return "<Slotted>"


# Its second member was never set.
Partial = dataclasses.make_dataclass("Partial", [("a", int), ("missing", int)])
Partial.__init__ = lambda self: setattr(self, "a", 1)


class Loud(dict):  # type: ignore[type-arg]
    """A dict whose methods must not be asked: they may do anything."""

    def _asked(self, *args: Any) -> Any:
        raise AssertionError("asked")

    keys = items = values = __iter__ = __getitem__ = copy = _asked

    def __len__(self) -> int:
        return 10**9


class LoudList(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError("asked")

    def __len__(self) -> int:
        return 10**9


class LoudSet(set):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise AssertionError("asked")


class Pairs(Mapping):  # type: ignore[type-arg]
    def __getitem__(self, key: str) -> int:
        return int(key)

    def __iter__(self) -> Iterator[str]:
        yield "1"
        yield "2"
        raise OSError("the rest is gone")

    def __len__(self) -> int:
        return -1


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class NoText:
    def __repr__(self) -> str:
        return 5  # type: ignore[return-value]


class Angry(Exception):
    def __str__(self) -> str:
        raise ValueError("no")


UTC = datetime.timezone.utc

MATRIX: list[tuple[Any, Any]] = [
    ("text", "text"),
    ("", ""),
    ('"quoted" \\ \n\t\x00\x1f ü € 🎉', '"quoted" \\ \n\t\x00\x1f ü € 🎉'),
    ("lone \ud800 and \udfff", "lone \ufffd and \ufffd"),
    (Text("sub"), "sub"),
    (0, 0),
    (-1, -1),
    (2**63 - 1, 2**63 - 1),
    (-(2**63), -(2**63)),
    (2**64 - 1, 2**64 - 1),
    (2**64, str(2**64)),
    (2**127 - 1, str(2**127 - 1)),
    (-(2**63), -(2**63)),
    (-(2**127), str(-(2**127))),
    # All digits, but no longer as a number.
    (10**60 + 7, str(10**60 + 7)),
    (-(10**60), str(-(10**60))),
    (16**8000, hex(16**8000)),
    (Whole(10**30), str(10**30)),
    (True, True),
    (False, False),
    (None, None),
    (1.5, 1.5),
    (0.1, 0.1),
    (1e300, 1e300),
    (-0.0, -0.0),
    (float("nan"), "NaN"),
    (float("inf"), "Infinity"),
    (float("-inf"), "-Infinity"),
    ({}, {}),
    ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 2]}}),
    ({1: 2, None: 3, (1, 2): 4, Colour.RED: 5}, {"1": 2, "None": 3, "(1, 2)": 4, "Colour.RED": 5}),
    ([], []),
    ([1, [2, (3,)]], [1, [2, [3]]]),
    ({7}, [7]),
    (frozenset({8}), [8]),
    (collections.deque([1, 2]), [1, 2]),
    ({"k": 1}.keys(), ["k"]),
    ({"k": 1}.values(), [1]),
    (collections.OrderedDict(a=1), {"a": 1}),
    (collections.defaultdict(int, a=1), {"a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.UserDict({"a": 1}), {"a": 1}),
    (Point(1, 2.5), {"x": 1, "y": 2.5}),
    (Order(1, ["a"]), {"id": 1, "tags": ["a"]}),
    (Colour.RED, "red"),
    (Number.ONE, 1),
    (Flags.A | Flags.B, 3),
    (datetime.datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006+00:00"),
    (datetime.datetime(2026, 1, 2), "2026-01-02T00:00:00"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (datetime.time(1, 2), "01:02:00"),
    (datetime.timedelta(days=1, seconds=2), "1 day, 0:00:02"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (decimal.Decimal("12.50"), "12.50"),
    (decimal.Decimal("NaN"), "NaN"),
    (fractions.Fraction(1, 3), "1/3"),
    (pathlib.PurePosixPath("/tmp/x"), "/tmp/x"),
    (b"plain \xc3\xbc", "plain ü"),
    (b"\xff\x00", "b'\\xff\\x00'"),
    (bytearray(b"abc"), "abc"),
    (memoryview(b"abc"), "abc"),
    (1 + 2j, "(1+2j)"),
    (range(3), "range(0, 3)"),
    (int, "<class 'int'>"),
    (Silent(), "<unprintable Silent>"),
    (NoText(), "<unprintable NoText>"),
    (datetime.time(1, 2, tzinfo=UTC), "01:02:00+00:00"),
    (Account("a", "1234"), {"name": "a", "limit": 5}),
    (Partial(), {"a": 1}),
    (Slotted(), "<Slotted>"),
    (Loud(a=1), {"a": 1}),
    (LoudList([1, 2]), [1, 2]),
    (LoudSet({1}), [1]),
    (Pairs(), {"1": 1, "2": 2, "…": "<ended by OSError>"}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    ({"k": 1}.items(), [["k", 1]]),
    (collections.OrderedDict(k=1).items(), [["k", 1]]),
    (array.array("i", [1, 2]), [1, 2]),
    (memoryview(array.array("B", [97, 98])), "ab"),
    ({b"password": "x", b"\xff": 1}, {"password": "[REDACTED]", "b'\\xff'": 1}),
    ({Text("k"): 1, 1.5: 2, True: 3}, {"k": 1, "1.5": 2, "True": 3}),
    ([{"password": "x", "after": 1}], [{"password": "[REDACTED]", "after": 1}]),
    ({"deep": [{"User-Password": {"a": 1}}], "z": 2}, {"deep": [{"User-Password": "[REDACTED]"}], "z": 2}),
    (re.compile("a+"), "re.compile('a+')"),
    (ipaddress.ip_address("::1"), "::1"),
    (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    (..., "Ellipsis"),
    (NotImplemented, "NotImplemented"),
    (ctypes.c_int(5), "c_int(5)"),
    (slice(1, 2), "slice(1, 2, None)"),
    (Account, f"<class '{__name__}.Account'>"),
    ((n for n in ()), "<generator <genexpr>>"),
    ([1, Silent(), 2], [1, "<unprintable Silent>", 2]),
    ({Silent(): 1}, {"<unprintable Silent>": 1}),
]


def test_every_value_arrives_as_what_it_means(client: Recorder) -> None:
    log = millpond.get_logger("values")
    for place, (value, _) in enumerate(MATRIX):
        log.info("value", place=place, value=value)
    assert millpond.flush(5)
    records = client.wait_for(len(MATRIX))
    for record, (value, expected) in zip(records, MATRIX):
        arrived = record["fields"]["value"]
        assert arrived == expected, value if not isinstance(value, Silent) else "Silent"
        assert type(arrived) is type(expected)


def fields_of(server: Recorder, **fields: Any) -> dict[str, Any]:
    before = len(server.records)
    millpond.get_logger("values").info("m", **fields)
    assert millpond.flush(5)
    arrived = server.wait_for(before + 1)[before]["fields"]
    assert isinstance(arrived, dict)
    return arrived


def test_an_iterator_is_where_it_was(client: Recorder) -> None:
    def numbers() -> Iterator[int]:
        yield 1
        yield 2

    async def later() -> None: ...

    generator, mapped, coroutine = numbers(), map(str, [1, 2]), later()
    endless = itertools.count()
    fields = fields_of(client, generator=generator, mapped=mapped, endless=endless, coroutine=coroutine)
    coroutine.close()
    name = "test_an_iterator_is_where_it_was.<locals>."
    assert fields["generator"] == f"<generator {name}numbers>"
    assert fields["coroutine"] == f"<coroutine {name}later>"
    assert fields["mapped"].startswith("<map object")
    assert fields["endless"] == "count(0)"
    assert (list(generator), list(mapped), next(endless)) == ([1, 2], ["1", "2"], 0)


def test_a_mapping_that_is_a_file_is_not_read(client: Recorder, tmp_path: pathlib.Path) -> None:
    with shelve.open(str(tmp_path / "shelf")) as shelf:
        shelf["a"] = 1
        assert fields_of(client, v=shelf)["v"] == "<DbfilenameShelf>"


def test_a_mapping_without_end_is_cut(client: Recorder) -> None:
    class Endless(Pairs):
        def __iter__(self) -> Iterator[str]:
            return map(str, itertools.count())

    arrived = fields_of(client, v=Endless())["v"]
    assert arrived["0"] == 0
    assert arrived["…"] == "<record too large>"


def test_what_looks_like_something_else_is_written_as_text(client: Recorder) -> None:
    class Anything(type):
        def __getattr__(cls, name: str) -> Any:
            return 5

    class Odd(metaclass=Anything):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("asked")

        def __str__(self) -> str:
            return "odd"

    class Claims:
        @property
        def __class__(self) -> Any:
            raise AssertionError("asked")

        def __str__(self) -> str:
            return "claims"

    assert fields_of(client, odd=Odd(), claims=Claims()) == {"odd": "odd", "claims": "claims"}


def test_binary_data_of_any_size_is_cut_before_it_is_copied(client: Recorder) -> None:
    size = 50_000_000
    fields = fields_of(client, text=bytes(b"a" * size))
    assert fields["text"].startswith("aaaa")
    assert fields["text"].endswith(f"… ({size} bytes)")
    assert fields_of(client, v=bytearray(b"\xff" * size))["v"].endswith(f"… ({size} bytes)")
    assert fields_of(client, v=memoryview(bytes(size)))["v"] == f"<memoryview of {size} bytes>"
    # A character is not cut in two.
    assert "ü… (" in fields_of(client, v="ü".encode() * 1_000_000)["v"]


def test_an_integer_of_any_size_costs_no_more_than_its_text(client: Recorder) -> None:
    assert fields_of(client, v=10**4000)["v"] == "1" + "0" * 4000
    assert fields_of(client, v=1 << 1_000_000)["v"].startswith("0x1000")
    assert fields_of(client, v=1 << 10_000_000)["v"] == "<integer of 10000001 bits>"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="StrEnum is new in 3.11")
def test_a_text_that_is_an_enum_is_a_key_by_its_value(client: Recorder) -> None:
    key = enum.StrEnum("Key", {"SECRET": "pass-word"}).SECRET  # type: ignore[attr-defined]
    assert fields_of(client, v={key: 1})["v"] == {"pass-word": "[REDACTED]"}


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, (list, dict)) and value:
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
        depth += 1
    return depth


def test_cycles_and_endless_nesting_end(client: Recorder) -> None:
    cycle: list[Any] = [1]
    cycle.append(cycle)
    assert fields_of(client, v=cycle)["v"] == [1, "<cycle>"]
    loop: dict[str, Any] = {}
    loop["self"] = {"again": loop}
    assert fields_of(client, v=loop)["v"] == {"self": {"again": "<cycle>"}}
    shared = [1]
    assert fields_of(client, v=[shared, shared])["v"] == [[1], [1]]
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    arrived = fields_of(client, v=deep)["v"]
    assert 40 < depth_of(arrived) < 63

    class Endless:
        def __init__(self) -> None:
            self.kind = "endless"

        def items(self) -> Any:
            return [("next", Endless())]

    assert "Endless" in fields_of(client, v=Endless())["v"]


def test_a_value_of_any_size_leaves_a_record_that_the_server_takes(client: Recorder) -> None:
    bomb: Any = "x" * 1000
    for _ in range(30):
        bomb = [bomb, bomb]
    for value in (
        "y" * 10_000_000,
        "\x00" * 3_000_000,
        list(range(3_000_000)),
        bomb,
        {str(n): n for n in range(200_000)},
    ):
        arrived = fields_of(client, first=1, v=value, last=2)
        assert arrived["first"] == 1
    sizes = [len(repr(batch)) for _, batch in client.batches]
    assert len(sizes) == 5


def test_a_record_has_no_more_fields_than_the_server_takes(client: Recorder) -> None:
    arrived = fields_of(client, **{f"k{n}": n for n in range(3000)})
    assert len(arrived) <= 1024
    assert arrived["k0"] == 0


def test_a_message_of_any_kind(client: Recorder) -> None:
    log = millpond.get_logger("values")
    messages: list[Any] = ["", None, 5, b"bytes", {"a": 1}, Silent(), "z" * 10_000_000, "\ud800", ValueError("bad")]
    for message in messages:
        log.info(message)
    millpond.flush(5)
    arrived = [record["message"] for record in client.wait_for(len(messages))]
    assert arrived[:4] == ["", "None", "5", "b'bytes'"]
    assert arrived[4:6] == ["{'a': 1}", "<unprintable Silent>"]
    assert arrived[6].startswith("zzz")
    assert len(arrived[6]) < 1 << 20
    assert arrived[7:] == ["\ufffd", "bad"]


def test_the_value_is_captured_at_the_call_and_left_as_it_was(client: Recorder) -> None:
    value = {"list": [1, 2], "when": datetime.date(2026, 1, 1)}
    log = millpond.get_logger("values").bind(bound=value)
    log.info("m", value=value)
    value["list"] = "changed"
    millpond.flush(5)
    fields = client.wait_for(1)[0]["fields"]
    assert fields["value"] == fields["bound"] == {"list": [1, 2], "when": "2026-01-01"}
    assert value == {"list": "changed", "when": datetime.date(2026, 1, 1)}


def test_a_value_that_logs_while_it_is_written_is_fine(client: Recorder) -> None:
    log = millpond.get_logger("values")

    class Chatty:
        def __str__(self) -> str:
            log.info("inner")
            return "chatty"

    class Endless:
        def __str__(self) -> str:
            log.info("inner", v=Endless())
            return "endless"

    log.info("outer", v=Chatty())
    log.info("outer", v=Endless())
    millpond.flush(5)
    records = client.wait_for(4)
    assert [record["message"] for record in records[:2]] == ["inner", "outer"]
    assert records[1]["fields"] == {"v": "chatty"}
    assert records[-1]["fields"] == {"v": "endless"}
    account = millpond.metrics()
    assert account["dropped"]["nested"] == 1
    assert account["accepted"] == account["delivered"] + sum(account["dropped"].values())


def test_a_dict_that_changes_while_it_is_written_is_fine(client: Recorder) -> None:
    victim: dict[str, Any] = {}

    class Grows:
        def __str__(self) -> str:
            victim.update({str(n): n for n in range(100)})
            return "grows"

    victim["first"] = Grows()
    victim["second"] = 2
    assert fields_of(client, v=victim)["v"] == {"first": "grows", "second": 2}


def test_an_exception_that_is_no_exception_belongs_to_the_program(client: Recorder) -> None:
    class Interrupted:
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        millpond.get_logger("values").info("m", v=Interrupted())
    millpond.get_logger("values").info("after", v=1)
    millpond.flush(5)
    # What was said before it was raised is there.
    assert [record["message"] for record in client.wait_for(2)] == ["m", "after"]


def test_an_exception_as_a_value_is_structured(client: Recorder) -> None:
    arrived = fields_of(client, error=Angry("x"))["error"]
    assert arrived["type"].endswith("Angry")
    assert arrived["message"] == "Angry('x')"


def test_what_follows_a_redacted_or_too_deep_value_is_kept(client: Recorder) -> None:
    deep: object = "bottom"
    for _ in range(100):
        deep = {"deeper": deep}
    millpond.get_logger("tests").info(
        "m", nested={"password": {"a": [1]}, "kept": 1}, many=[{"token": "t", "kept": 2}, 3], deep=deep, last=4
    )
    assert millpond.flush(5)
    (record,) = client.records
    assert record["fields"]["nested"] == {"password": "[REDACTED]", "kept": 1}
    assert record["fields"]["many"] == [{"token": "[REDACTED]", "kept": 2}, 3]
    assert record["fields"]["last"] == 4
