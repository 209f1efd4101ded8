"""Values of libraries, which are written without importing them."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import types
from typing import Any

import pytest

import millpond
from recorder import Recorder


def written(server: Recorder, value: Any) -> Any:
    before = len(server.records)
    millpond.get_logger("values").info("m", value=value)
    assert millpond.flush(5)
    return server.wait_for(before + 1)[before]["fields"]["value"]


def test_no_library_is_imported_for_a_value() -> None:
    code = (
        "import sys, millpond\n"
        "millpond.init(service='s', endpoint='http://127.0.0.1:9', shutdown_timeout_s=0)\n"
        "millpond.get_logger('x').info('m', a=object(), b={1}, c=b'x', d=ValueError())\n"
        "assert not {'numpy', 'pandas', 'polars', 'pydantic', 'attr', 'django'} & set(sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


def test_numpy(client: Recorder, tmp_path: pathlib.Path) -> None:
    np = pytest.importorskip("numpy")
    for value, expected in (
        (np.int64(5), 5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(1.5), 1.5),
        (np.float64(0.1), 0.1),
        (np.float64("nan"), "NaN"),
        (np.longdouble(1.5), "1.5"),
        (np.bool_(True), True),
        (np.str_("s"), "s"),
        (np.bytes_(b"s"), "s"),
        (np.complex128(1 + 2j), "(1+2j)"),
        (np.datetime64("2026-01-02T03:04:05.123456789"), "2026-01-02T03:04:05.123456789"),
        (np.timedelta64(5, "D"), "5 days"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(5), 5),
        (np.array([]), []),
        (np.array([1.5, np.nan, np.inf]), [1.5, "NaN", "Infinity"]),
        (np.array(["2026-01-02", "NaT"], dtype="M8[ns]"), ["2026-01-02T00:00:00.000000000", "NaT"]),
        (np.array([{"password": "x"}, None], dtype=object), [{"password": "[REDACTED]"}, None]),
        (np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]), [[1, 2.5]]),
        (np.ma.array([1, 2], mask=[False, True]), [1, None]),
        ({np.int64(1): np.arange(2)}, {"1": [0, 1]}),
    ):
        arrived = written(client, value)
        assert arrived == expected
        assert type(arrived) is type(expected)
    large = written(client, np.zeros((2000, 3), dtype="f4"))
    assert large == {"shape": [2000, 3], "dtype": "float32", "first": [0.0] * 1000}
    itself = np.empty(1, dtype=object)
    itself[0] = itself
    assert written(client, itself) == ["<cycle>"]
    mapped = np.memmap(tmp_path / "file", dtype="u1", mode="w+", shape=(10,))
    assert written(client, mapped) == {"shape": [10], "dtype": "uint8"}


def test_pandas(client: Recorder) -> None:
    pd = pytest.importorskip("pandas")
    for value, expected in (
        (pd.Timestamp("2026-01-02T03:04:05.123456789Z"), "2026-01-02T03:04:05.123456789+00:00"),
        (pd.Timedelta("1 day"), "1 days 00:00:00"),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Series([1, 2], index=["to_list", "tolist"]), [1, 2]),
        (pd.Series([1.5, None], index=[0.5, 0.1]), [1.5, "NaN"]),
        (pd.Series([pd.Timestamp("2026-01-02"), pd.NaT]), ["2026-01-02T00:00:00", None]),
        (pd.Index(["a", "b"]), ["a", "b"]),
        (pd.array([1, None], dtype="Int64"), [1, None]),
        (pd.Categorical(["a", "b"]), ["a", "b"]),
        (
            pd.DataFrame({"rows": [1, 2], "iloc": ["a", "b"]}),
            {"shape": [2, 2], "columns": ["rows", "iloc"], "rows": [[1, "a"], [2, "b"]]},
        ),
        (
            pd.DataFrame([[1, 2]], columns=["same", "same"]),
            {"shape": [1, 2], "columns": ["same", "same"], "rows": [[1, 2]]},
        ),
        (pd.DataFrame(), {"shape": [0, 0], "columns": [], "rows": []}),
        (pd.Period("2026-01"), "2026-01"),
    ):
        assert written(client, value) == expected
    large = written(client, pd.Series(range(5000)))
    assert large == {"shape": [5000], "dtype": "int64", "first": list(range(1000))}
    wide = written(client, pd.DataFrame([[0] * 400] * 100))
    assert wide["shape"] == [100, 400]
    assert [len(row) for row in wide["rows"]] == [400, 400]


def test_polars(client: Recorder) -> None:
    pl = pytest.importorskip("polars")
    table = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert written(client, table) == {"shape": [2, 2], "columns": ["a", "b"], "rows": [[1, "x"], [2, None]]}
    assert written(client, table["a"]) == [1, 2]
    assert written(client, pl.Series(range(2000)))["shape"] == [2000]
    assert written(client, table.lazy()) == "<LazyFrame>"


def test_pydantic(client: Recorder) -> None:
    pydantic = pytest.importorskip("pydantic")

    class Card(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        model_config = pydantic.ConfigDict(extra="allow")

        number: pydantic.SecretStr
        owner: str
        hint: str = pydantic.Field("h", repr=False)
        internal: int = pydantic.Field(1, exclude=True)
        _private: str = "p"

        @pydantic.computed_field
        @property
        def computed(self) -> int:
            raise AssertionError("asked")

        @pydantic.model_serializer
        def serialised(self) -> dict[str, Any]:
            raise AssertionError("asked")

    card = Card(number="4111", owner="o", more=[1])
    assert written(client, card) == {"number": "**********", "owner": "o", "more": [1]}
    assert written(client, {"card": [Card.model_construct(owner="o")]}) == {"card": [{"owner": "o"}]}
    assert written(client, pydantic.SecretBytes(b"x")) == "b'**********'"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif(sys.version_info >= (3, 14), reason="its version 1 does not run there")
def test_pydantic_of_version_1(client: Recorder) -> None:
    pydantic = pytest.importorskip("pydantic.v1")

    class Card(pydantic.BaseModel):  # type: ignore[misc,name-defined]
        number: pydantic.SecretStr
        owner: str
        hint: str = pydantic.Field("h", repr=False)
        _private: str = pydantic.PrivateAttr("p")

    Card.update_forward_refs(pydantic=pydantic)
    assert written(client, Card(number="4111", owner="o")) == {"number": "**********", "owner": "o"}


def test_attrs(client: Recorder) -> None:
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class User:
        name: str
        pin: str = attrs.field(repr=False)
        phone: str = attrs.field(repr=lambda phone: phone[:3] + "…")
        friends: list[Any] = attrs.field(factory=list)

    user = User("a", "1234", "0123456", [])
    user.friends.append(user)
    assert written(client, user) == {"name": "a", "phone": "012…", "friends": ["<cycle>"]}
    del user.name
    assert written(client, user)["phone"] == "012…"


def test_django_is_not_made_to_ask_its_database(client: Recorder) -> None:
    pytest.importorskip("django")
    from django.core.paginator import Page, Paginator
    from django.db.models.query import QuerySet
    from django.utils.datastructures import MultiValueDict
    from django.utils.functional import SimpleLazyObject, lazystr

    class Asked(QuerySet):
        def __init__(self) -> None:
            self.model = types.SimpleNamespace(__name__="Order")

        def _fetch_all(self) -> None:
            raise AssertionError("asked")

        count = _fetch_all

    def user() -> Any:
        raise AssertionError("asked")

    assert written(client, Asked()) == "<Asked of Order>"
    assert written(client, [Asked()]) == ["<Asked of Order>"]
    assert written(client, Page([], 1, Paginator(Asked(), 5))) == "<Page>"
    assert written(client, SimpleLazyObject(user)).startswith("<SimpleLazyObject: <function")
    assert written(client, lazystr("text")) == "text"
    assert written(client, {lazystr("key"): 1}) == {"key": 1}
    form = MultiValueDict({"a": ["1", "2"], "password": ["x"]})
    assert written(client, form) == {"a": ["1", "2"], "password": "[REDACTED]"}


def test_sqlalchemy_rows(client: Recorder) -> None:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        row = connection.execute(sqlalchemy.text("select 1 as a, 'x' as password")).one()
        assert written(client, row) == {"a": 1, "password": "[REDACTED]"}
        assert written(client, row._mapping) == {"a": 1, "password": "[REDACTED]"}
        result = connection.execute(sqlalchemy.text("select 1 as a"))
        written(client, result)
        assert result.scalar() == 1
    engine.dispose()


def test_a_tensor_is_not_fetched_from_its_device(client: Recorder) -> None:
    tensor = type("Tensor", (), {"__module__": "torch", "shape": (2, 3), "dtype": "float32"})
    assert written(client, tensor()) == {"shape": [2, 3], "dtype": "float32"}
