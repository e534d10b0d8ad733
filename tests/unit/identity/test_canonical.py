"""Two values share a target exactly if their canonical texts are equal.

A text that changes renames every target that has such an attribute; two values with one text would
be built once. `tests/data/canonical_cases.json` pins the texts and their digests.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import enum
import functools
import hashlib
import json
import pickle
import re
from collections import namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import UnfingerprintableError
from marin_build.identity import canonical
from marin_build.identity.canonical import FrozenDict, canonical_text, freeze
from marin_build.untrusted_json import parse_json

CASES = Path(__file__).parents[2] / "data" / "canonical_cases.json"


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias, as in the table
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.Flag):
    A = enum.auto()
    B = enum.auto()


@dataclass(frozen=True)
class Config:
    lr: float
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class Other:
    lr: float


@dataclass(frozen=True)
class Nested:
    config: Any


class Model(pydantic.BaseModel):
    lr: float


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    lr: float


class Text(str):
    __slots__ = ()


Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - a plain one, as in the table


class Plain:
    """An object with the default repr."""


class Caller:
    def __call__(self) -> None: ...


def some_function() -> None: ...


def _itself() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


def _itself_in_a_dict() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["a"] = {"b": value}
    return value


def _deep(levels: int) -> list[Any]:
    return functools.reduce(lambda inner, _: [inner], range(levels), [])


_CLASSES = (Caller, Colour, Config, Decimal, Flags, Level, Model, Nested, Other, Pair, Path, Plain,
            PurePosixPath, PureWindowsPath, Text)  # fmt: skip
_KNOWN = {kind.__name__: kind for kind in _CLASSES} | {
    "np": np, "ctypes": ctypes, "date": dt.date, "timedelta": dt.timedelta,
    "itself": _itself, "itself_in_a_dict": _itself_in_a_dict, "deep": _deep,
    "partial": functools.partial, "some_function": some_function,
    "nan": float("nan"), "inf": float("inf"),
}  # fmt: skip

TABLE = json.loads(CASES.read_text())
ALIKE = TABLE["cases"]
REFUSED = TABLE["refused"]


def _value(expression: str) -> object:
    return eval(expression, dict(_KNOWN))


def _text(value: object) -> str:
    return canonical_text(freeze({"x": value}, "train.attrs")["x"])


@pytest.mark.parametrize("case", ALIKE, ids=lambda case: case["case"])
def test_the_form_of_a_value_never_changes(case: dict[str, str]) -> None:
    text = _text(_value(case["python"]))
    assert text == case["canonical"]
    assert hashlib.sha256(text.encode()).hexdigest() == case["sha256"]


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([0.1, 1e22])
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), _TREES, max_size=5))
def test_the_text_is_what_any_json_encoder_gives(attrs: dict[str, Any]) -> None:
    """Else values that are written in another way would rename their targets."""
    text = canonical_text(freeze(attrs, "train.attrs"))
    assert text == json.dumps(attrs, sort_keys=True)
    assert text == canonical_text(attrs)


@given(st.dictionaries(st.text(max_size=5), _TREES, max_size=5))
def test_the_text_is_the_same_where_the_encoder_of_cpython_is_missing(
    attrs: dict[str, Any],
) -> None:
    """Else another Python renames all targets, or cannot plan."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json.encoder, "c_make_encoder", None)
        chunks = canonical._chunks_of_json()
        assert "".join(chunks(attrs, 0)) == canonical_text(attrs)


@pytest.mark.parametrize("group", TABLE["same"], ids=lambda group: group["case"])
def test_values_that_mean_the_same_share_a_target(group: dict[str, Any]) -> None:
    assert len({_text(_value(expression)) for expression in group["python"]}) == 1


@pytest.mark.parametrize("group", TABLE["different"], ids=lambda group: group["case"])
def test_values_that_differ_never_share_a_target(group: dict[str, Any]) -> None:
    texts = [_text(_value(expression)) for expression in group["python"]]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["case"])
def test_what_has_no_stable_form_is_refused_by_its_path(case: dict[str, str]) -> None:
    with pytest.raises(UnfingerprintableError) as caught:
        _text(_value(case["python"]))
    shown = caught.value.render()
    assert f"`{case['path']}`" in shown.splitlines()[0]
    assert re.search(case["says"], shown), shown


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text().filter(lambda key: not key.startswith("__")), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


def _typed(value: object) -> object:
    """A value with its types, so that 1, 1.0 and True differ and -0.0 differs from 0.0."""
    match value:
        case dict():
            return {key: _typed(item) for key, item in value.items()}
        case list():
            return [_typed(item) for item in value]
    return type(value).__name__, repr(value)


@given(_TREES)
def test_plain_values_are_written_as_plain_json(value: object) -> None:
    text = _text(value)
    assert _typed(json.loads(text)) == _typed(value)
    assert text.isascii()


@given(_TREES, _TREES)
def test_only_equal_plain_values_have_equal_texts(one: object, other: object) -> None:
    assert (_text(one) == _text(other)) == (_typed(one) == _typed(other))


@given(st.dictionaries(st.text(max_size=3).filter(lambda k: not k.startswith("__")), st.integers()))
def test_the_order_of_keys_does_not_matter(value: dict[str, int]) -> None:
    assert _text(value) == _text(dict(reversed(value.items())))


def test_what_is_accepted_can_also_be_hashed() -> None:
    """A value at the edge of the nesting limit must not pass now and crash while planning."""
    low, high = 1, 100_000
    while high - low > 1:
        middle = (low + high) // 2
        try:
            freeze({"x": _deep(middle)}, "train.attrs")
            low = middle
        except UnfingerprintableError:
            high = middle
    assert low > 50
    assert canonical_text(freeze({"x": _deep(low)}, "train.attrs")).count("[") == low + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("a", 2),
        lambda d: d.__delitem__("a"),
        lambda d: d.update(a=2),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.setdefault("b", 1),
        lambda d: d.clear(),
        lambda d: d.__ior__({"b": 1}),
    ],
)
def test_attributes_cannot_be_changed_after_the_declaration(change: Any) -> None:
    frozen = freeze({"a": 1}, "train.attrs")
    with pytest.raises(TypeError, match="cannot be changed"):
        change(frozen)
    assert frozen == {"a": 1}


def test_frozen_attributes_do_not_follow_the_authors_own_objects() -> None:
    layers = [1, {"deep": [2]}]
    frozen = freeze({"layers": layers}, "train.attrs")
    before = canonical_text(frozen)
    layers.append(3)
    layers[1]["deep"].append(4)  # type: ignore[index]
    assert canonical_text(frozen) == before


def test_frozen_attributes_can_be_keys_and_travel_between_processes() -> None:
    frozen = freeze({"b": [1], "a": {"c": None}}, "train.attrs")
    assert hash(frozen) == hash(freeze({"a": {"c": None}, "b": [1]}, "train.attrs"))
    copied = pickle.loads(pickle.dumps(frozen))
    assert (copied, type(copied), type(copied["a"])) == (frozen, FrozenDict, FrozenDict)


def test_every_field_of_an_open_model_counts() -> None:
    """An extra field that is left out would let another configuration reuse this one's output."""
    assert _text(Open.model_validate({"lr": 1, "warmup": 2})) != _text(
        Open.model_validate({"lr": 1, "warmup": 3})
    )


@pytest.mark.parametrize("levels", [240, 260, 5_000])
def test_attributes_are_not_nested_deeper_than_a_record_is_read(levels: int) -> None:
    """Else a step is built whose record no later plan can read."""
    value: object = 1
    for _ in range(levels):
        value = {"a": value}
    if levels > 250:
        with pytest.raises(UnfingerprintableError, match="nested too deeply"):
            freeze({"x": value}, "train.attrs")
    else:
        assert parse_json(canonical_text(freeze({"x": value}, "train.attrs")))
