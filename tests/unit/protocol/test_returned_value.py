"""What a step returns is saved so that it is read back equal, or refused by path and type.

Else hours of training are lost to one number of numpy, or a reader gets another value.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections import Counter, OrderedDict, deque, namedtuple
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pydantic
import pytest

from marin_build.protocol.artifact import artifact_value, parse_artifact
from marin_build.protocol.returned_value import DEEPEST, LARGEST_ARRAY, UnsavableError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Score:
    loss: float
    steps: int = field(default=3, init=False)


@dataclass
class Loose:
    loss: Any


class Metrics(pydantic.BaseModel):
    loss: float = 0.0
    notes: Any = None


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    tokens: int = 1

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.tokens


class Aliased(pydantic.BaseModel):
    tokens: int = pydantic.Field(alias="n")


class Hidden(pydantic.BaseModel):
    token: pydantic.SecretStr


class Split(enum.StrEnum):
    TRAIN = "train"


class Level(enum.Enum):
    LOW = 1


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - a plain one
NAN, INF = float("nan"), float("inf")


def _nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


SAVED: list[tuple[Any, Any]] = [
    ({"tokens": np.int64(1)}, {"tokens": 1}),
    (Score(np.float32(0.1)), {"loss": float(np.float32(0.1)), "steps": 3}),  # type: ignore[arg-type]
    (np.float64(1.5), 1.5),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.array(3), 3),
    (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    (np.array(["a"]), ["a"]),
    (np.array([1, "a"], dtype=object), [1, "a"]),
    (np.datetime64("2026-11-21"), "2026-11-21"),
    ([np.longdouble(0.5)], [0.5]),
    (Metrics(notes=np.float32(0.5)), {"loss": 0.0, "notes": 0.5}),
    (Metrics(loss=INF), {"loss": "Infinity", "notes": None}),
    ([Metrics()], [{"loss": 0.0, "notes": None}]),
    (Strict(), {"tokens": 1}),
    (Aliased(n=2), {"n": 2}),
    (Score(NAN), {"loss": "NaN", "steps": 3}),
    ({Split.TRAIN: Level.LOW}, {"train": 1}),
    (Pair(1, (2,)), [1, [2]]),
    ({3, 1, 2}, [1, 2, 3]),
    (deque([1]), [1]),
    (range(2), [0, 1]),
    (Counter("aab"), {"a": 2, "b": 1}),
    (OrderedDict(a=1), {"a": 1}),
    (Path("a/b"), "a/b"),
    (dt.timedelta(hours=1), "PT1H"),
    (dt.date(2026, 11, 21), "2026-11-21"),
    (decimal.Decimal("1.10"), "1.10"),
    (uuid.UUID(int=1), str(uuid.UUID(int=1))),
    (b"text", "text"),
    (10**30, 10**30),
    ("\0\u2028", "\0\u2028"),
]


@pytest.mark.parametrize(("value", "expected"), SAVED, ids=[repr(value) for value, _ in SAVED])
def test_a_value_is_saved_as_json_that_every_reader_takes(value: Any, expected: Any) -> None:
    found = artifact_value(value)
    assert found == expected
    json.dumps(found, allow_nan=False)
    if type(value) in (Score, Metrics, Strict, Aliased):
        read = parse_artifact(json.dumps(found).encode(), type(value), "a.json")
        assert read == value or math.isnan(read.loss)


TYPED: list[tuple[Any, Any]] = [
    ({"loss": NAN}, dict[str, float]),
    ([INF, -INF], list[float]),
    ({1: 2}, dict[int, int]),
    ({True: 1}, dict[bool, int]),
    (np.array([NAN, 1.0]), list[float]),
    ({"a": Score(NAN)}, dict[str, Score]),
]


@pytest.mark.parametrize(("value", "annotation"), TYPED, ids=[repr(kind) for _, kind in TYPED])
def test_what_json_lacks_is_saved_for_those_who_know_its_type_alone(
    value: Any, annotation: Any
) -> None:
    """Else NaN is no JSON, or is read as a text, and the key 1 as another key."""
    found = artifact_value(value, lambda: annotation)
    json.dumps(found, allow_nan=False)
    for said in (None, Any, dict[str, Any], list[Any]):
        if not (isinstance(value, dict) and "a" in value):
            with pytest.raises(UnsavableError, match="annotate what the step returns"):
                artifact_value(value, lambda said=said: said)  # type: ignore[misc]


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: {"metrics": [{"loss": np.complex64(1)}]}, "`metrics[0].loss: numpy.complex64`"),
    (lambda: [Loose(object())], "`[0].loss: object`"),
    (lambda: {"a b": {1j}}, "`['a b']{}: complex`"),
    (lambda: np.zeros(LARGEST_ARRAY + 1), "`numpy.ndarray`, 65537 numbers are too many"),
    (lambda: np.ma.masked_array([1], [True]), "`numpy.ma"),
    (lambda: [np.longdouble(1) / 3], "`[0]: numpy.longdouble`, a number of Python would round it"),
    (lambda: np.bytes_(b"a"), "`numpy.bytes_`"),
    (lambda: np.datetime64(1, "ns"), "`numpy.datetime64`, its unit would be lost"),
    (lambda: np.array([(1, 2.0)], dtype="i4,f8"), "`numpy.ndarray`"),
    (lambda: Metrics(notes=1j), "`notes: complex`"),
    (lambda: Metrics(notes=NAN), "`notes`: NaN"),
    (lambda: Loose(NAN), "`loss`: NaN"),
    (lambda: Hidden(token="s3cret"), "`token: pydantic.types.SecretStr`"),
    (lambda: [Hidden(token="s3cret")], "`[0].token: pydantic.types.SecretStr`"),
    (lambda: {1: "a", "1": "b"}, "two of its keys are written `1`"),
    (lambda: {(1, 2): 1}, "the key (1, 2) has no text"),
    (lambda: {Level.LOW: 1}, "the key <Level.LOW: 1>, which is no text"),
    (lambda: {1: 1}, "the key 1, which is no text"),
    (lambda: {"a": {}.items()}, "`a: dict_items`"),
    (lambda: Fraction(1, 3), "`fractions.Fraction`"),
    (lambda: b"\xff", "`bytes`, it is no text"),
    (lambda: {"a": "\ud800"}, "`a: str`, it is no Unicode text"),
    (lambda: {"\ud800": 1}, "it is no Unicode text"),
    (lambda: [10**5000], "`[0]: int`, it has too many digits"),
    (lambda: {"f": len}, "`f: builtin_function_or_method`"),
    (lambda: int, "the class int is no value"),
    (lambda: _nested(DEEPEST + 1), "it is nested deeper than 100 levels"),
    (lambda: _nested(100_000), "it is nested deeper than 100 levels"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_what_cannot_be_read_back_is_refused_by_path_and_type(
    make: Callable[[], Any], words: str
) -> None:
    with pytest.raises(UnsavableError) as caught:
        artifact_value(make())
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_contains_itself_is_refused_where_it_does() -> None:
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    shared = [1]
    assert artifact_value([shared, shared]) == [[1], [1]]
    with pytest.raises(UnsavableError, match=r"`a\[0\]: dict`, it contains itself"):
        artifact_value(value)


def test_nothing_is_consumed(tmp_path: Path) -> None:
    """Else the refusal itself destroys what the step returned."""
    (tmp_path / "a").write_text("one\ntwo\n")
    with (tmp_path / "a").open() as stream:
        items = iter([1, 2])
        for value in (stream, items, (i for i in [1]), map(str, [1])):
            with pytest.raises(UnsavableError, match=r"`x: .*`, it is not read"):
                artifact_value({"x": value})
        assert (stream.read(), list(items)) == ("one\ntwo\n", [1, 2])


def test_a_refusal_names_the_first_of_many() -> None:
    """Else the message is as large as the value."""
    with pytest.raises(UnsavableError, match=r"`\[4\]: object`; and 9995 more; return a") as caught:
        artifact_value([object() for _ in range(10_000)])
    assert len(caught.value.problems) == 10_000
    assert len(str(caught.value)) < 400
