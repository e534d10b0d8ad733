"""What JSON can write enters identity as JSON: so a step has the hash that it has in Marin.

What was accepted before as another text keeps that as its former form: else it is built again.
"""

from __future__ import annotations

import collections
import enum
import json
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import UnfingerprintableError
from marin_build.identity.attributes import FormerlyTagged, former_attributes, freeze_attributes
from marin_build.identity.canonical import canonical_text, freeze


class Mode(enum.StrEnum):
    EXACT = "exact"


class Old(str, enum.Enum):  # noqa: UP042 - as experiments have it
    A = "a"


class Level(enum.IntEnum):
    HIGH = 10


class Bits(enum.IntFlag):
    READ = 4
    WRITE = 2


class Rate(float, enum.Enum):
    NONE = math.nan
    SMALL = 0.1


class Wide(str, enum.Enum):  # noqa: UP042 - as above
    """An enum of which a member's value is more than its text."""

    def __new__(cls, text: str, _make: object) -> Wide:  # noqa: PYI034 - of an enum
        member = str.__new__(cls, text)
        member._value_ = (text, _make)
        return member

    ONE = ("one", print)


class Colour(enum.Enum):
    RED = "red"


class Shouting(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "no"

    __repr__ = __str__


class Count(int):
    def __repr__(self) -> str:
        return "no"

    __str__ = __repr__


class Pair(NamedTuple):
    a: int
    b: list[int]


class Names(list[str]):
    pass


@dataclass(frozen=True)
class Config:
    mode: Mode


def _text(attrs: Any) -> str:
    return canonical_text(freeze_attributes(attrs, "train.attrs"))


@pytest.mark.parametrize(
    "value",
    [
        Mode.EXACT, Old.A, Level.HIGH, Bits.READ | Bits.WRITE, Rate.SMALL, Wide.ONE,
        Shouting("t"), Count(7), Pair(1, [2]), Names(["a"]), math.nan, math.inf, -math.inf,
        collections.OrderedDict(b=1, a=2), collections.Counter("aab"),
        {1: "a", 10: "b", 9: "c"}, {True: 1, False: 0}, {None: 1}, {1.5: "x", 2: "y", 10: "z"},
        {Mode.EXACT: 1, "b": 2}, {Level.HIGH: 1, 2: 3}, {Shouting("k"): 1}, {}, [],
        [{"a": (Mode.EXACT, {"b": [Level.HIGH]})}],
    ],
)  # fmt: skip
def test_what_json_can_write_is_written_as_json(value: Any) -> None:
    """Else an experiment that is moved here builds everything again, under other paths."""
    assert _text({"x": value, "y": 1}) == json.dumps({"x": value, "y": 1}, sort_keys=True)
    assert _text({"x": [value]}) == json.dumps({"x": [value]}, sort_keys=True)


_KEYS = st.text(max_size=3) | st.sampled_from([Mode.EXACT, Shouting("z")])
_TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from([Mode.EXACT, Level.HIGH, Old.A, Shouting("t"), Count(3)]),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(_KEYS, inner, max_size=3) | st.dictionaries(st.integers(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(_KEYS, _TREES, max_size=4))
def test_a_tree_of_such_values_is_what_json_writes(attrs: dict[str, Any]) -> None:
    """And so is what a copy of the step has, which is given the frozen values."""
    frozen = freeze_attributes(attrs, "train.attrs")
    assert canonical_text(frozen) == json.dumps(attrs, sort_keys=True)
    again = freeze_attributes(frozen, "train.attrs")
    assert canonical_text(again) == canonical_text(frozen)
    assert type(again) is type(frozen)


def test_attributes_are_what_their_author_gave() -> None:
    """A function reads them back, and a test of a pipeline compares them."""
    given: dict[Any, Any] = {"mode": Mode.EXACT, "sizes": [1, [2]], "by": {1: "a"}, 2: 3}
    with pytest.raises(UnfingerprintableError):
        freeze_attributes(given, "train.attrs")  # texts and numbers have no common order
    del given[2]
    frozen = freeze_attributes(given, "train.attrs")
    assert frozen == given
    assert frozen["mode"] is Mode.EXACT
    assert pickle.loads(pickle.dumps(frozen)) == given


@pytest.mark.parametrize(
    ("value", "path", "says"),
    [
        ({"a": 1, 2: 3}, "train.attrs.x", "of types that have no common order: int, str"),
        ({None: 1, "a": 2}, "train.attrs.x", "no common order: NoneType, str"),
        ({(1, 2): 1}, "train.attrs.x", "a key is tuple `.1, 2.`, which JSON cannot write"),
        ({math.nan: 1}, "train.attrs.x", "a key is float `nan`"),
        ([{"__set__": [1]}], "train.attrs.x.0", "the key `__set__` is reserved"),
        ({Shouting("__path__"): 1}, "train.attrs.x", "the key `__path__` is reserved"),
        (Pair(1, [print]), "train.attrs.x.1.0", "a function has no canonical form"),  # type: ignore[list-item]
        (1j, "train.attrs.x", "complex"),
    ],
)  # fmt: skip
def test_what_json_cannot_write_is_refused_by_its_path(value: Any, path: str, says: str) -> None:
    with pytest.raises(UnfingerprintableError, match=says) as caught:
        _text({"x": value})
    assert f"`{path}`" in caught.value.what


@pytest.mark.parametrize(
    "value", [Colour.RED, Path("a"), {1, 2}, Config(Mode.EXACT), b"x", np.float32, np.int8(3)],
)  # fmt: skip
def test_what_has_a_canonical_form_keeps_it(value: Any) -> None:
    """In a dataclass and in a set, too, members of enums have the form that they had."""
    assert _text({"x": value}) == canonical_text(freeze({"x": value}, "train.attrs"))


@pytest.mark.parametrize("value", [Mode.EXACT, Old.A, Level.HIGH, [{"a": Mode.EXACT}, {1}]])
def test_the_former_form_names_members_of_enums(value: Any) -> None:
    """What was built under it is found by this text."""
    frozen = freeze_attributes({"x": value}, "train.attrs")
    assert type(frozen) is FormerlyTagged
    former = canonical_text(freeze({"x": value}, "train.attrs"))
    assert canonical_text(former_attributes(frozen)) == former != canonical_text(frozen)


@pytest.mark.parametrize(
    "value", [1, "a", math.nan, Colour.RED, Shouting("a"), {1: 2}, Rate.NONE, Wide.ONE,
              [Mode.EXACT, Wide.ONE]],
)  # fmt: skip
def test_what_had_no_other_form_asks_no_store_for_it(value: Any) -> None:
    """It had the same form, or was refused."""
    assert type(freeze_attributes({"x": value}, "train.attrs")) is not FormerlyTagged
