"""The canonical JSON of configs has the bytes of Marin's."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import logging
import sys
import types
import uuid
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from marin_build.compat import fingerprint
from marin_build.compat.fingerprint import (
    canonical_json,
    describe_drift,
    fingerprint_hash,
    register_fingerprint,
    set_strict,
)
from marin_build.errors import UnfingerprintableError

if TYPE_CHECKING:
    from collections.abc import Iterator

VECTORS = Path(__file__).parents[2] / "data" / "marin_artifacts" / "canonical.json"


# --- cases: the vectors were made from these lines ---
class Colour(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Size(enum.IntEnum):
    SMALL = 1


class Mode(enum.StrEnum):
    FAST = "fast"


@dataclasses.dataclass
class Config:
    lr: object
    note: object = dataclasses.field(default=2, compare=False)


class Pair(NamedTuple):
    left: int
    right: str


CASES: dict[str, Any] = {
    "none": None,
    "whole": [1, -2, 10**30, True],
    "real": [0.1, 1e-7, -0.0, 1e300, float("inf"), float("-inf"), float("nan")],
    "text": "\u00e9\u2028\U0001f600\x00",
    "containers": {"b": {"y": 1, "x": [{}]}, "a": (1, (2,)), "c": Pair(1, "x")},
    "keys": [{1: "a", 2: "b"}, {True: 1}, {None: 1}, {1.5: 1}, {Mode.FAST: 1}],
    "enums": [Colour.RED, Colour.PAIR, Size.SMALL, Mode.FAST],
    "durations": [dt.timedelta(days=1, seconds=2, microseconds=3), dt.timedelta(seconds=-1)],
    "paths": [Path("a/b"), PurePosixPath("a/b")],
    "dataclass": Config({"k": [Config(Path("x")), Colour.RED]}),
    "sets": [{3, 1, 2}, {"b", "a"}, {1, "a", None}, frozenset({(1, 2), (0, 5)}), set()],
    "set_of_paths": {Path("b"), Path("a")},
    "dtypes": [np.dtype("float32"), np.float32, np.bool_, np.generic],
    "numbers": [np.float32(0.1), np.int64(3), np.bool_(True), np.str_("x")],
    "arrays": [np.array([[1, 2], [3, 4]], dtype=np.int32), np.array(5.0), np.zeros((0, 3))],
    "classes": [int, float, bool, complex, str, bytes, list, object, type, dt.timedelta],
    "ordered": collections.OrderedDict(b=1, a=2),
    "attributes": types.SimpleNamespace(n=1, inner={2, 1}),
    "repr": [decimal.Decimal("1.5"), uuid.UUID(int=5), 1 + 2j, b"ab", dt.date(2026, 1, 2)],
    "functions": [len, functools.partial(len, [])],
    "mixed keys": {1: 1, "a": 2},
    "tuple keys": {(1, 2): 1},
    "deque": collections.deque([1]),
    "module": types.ModuleType("m"),
}
# --- end of cases ---


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = fingerprint._STRICT_OVERRIDE
    yield
    fingerprint._STRICT_OVERRIDE = before


@pytest.mark.parametrize("name", CASES)
def test_every_value_has_the_form_that_marin_gives_it(name: str) -> None:
    """Else an output that Marin built is reported as drifted, or a changed one is not."""
    set_strict(False)
    expected = json.loads(VECTORS.read_text())[name]
    try:
        text = canonical_json(CASES[name])
    except TypeError:
        text = "TypeError"
    assert [text, fingerprint_hash(text)] == expected


def test_numbers_of_python_need_no_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a plan of a config that names `float` loads numpy for a tenth of a second."""
    with_numpy = canonical_json(CASES["classes"])
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert canonical_json(CASES["classes"]) == with_numpy


def test_an_unknown_type_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    class Widget:
        def __init__(self, size: int) -> None:
            self.size = size

    with caplog.at_level(logging.WARNING):
        one, other = canonical_json(Widget(1)), canonical_json(Widget(2))
    assert one != other
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Widget has no canonical form" in caplog.text


def test_a_registered_type_and_its_subclasses_have_the_form_that_is_theirs() -> None:
    class Schedule:
        def __init__(self, steps: set[int]) -> None:
            self.steps, self.cache = steps, object()

    class Cosine(Schedule):
        pass

    register_fingerprint(Schedule, lambda schedule: {"steps": schedule.steps})
    assert canonical_json(Cosine({2, 1})) == '{"steps": {"__set__": [1, 2]}}'


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (len, "a callable"),
        (functools.partial(len, []), "a callable"),
        (object(), "default object repr"),
        (decimal.Decimal(1), "no form is known"),
    ],
)
def test_what_has_no_exact_form_is_refused_where_it_must_be_exact(
    value: object, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIN_FINGERPRINT_STRICT", "yes")
    with pytest.raises(UnfingerprintableError, match=why) as caught:
        canonical_json({"x": value})
    assert isinstance(caught.value, TypeError)
    set_strict(False)
    canonical_json({"x": value})


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"model": {"lr": 1}}, {"model": {"lr": 2}}, ["model.lr: 1 -> 2"]),
        ({"a": "x"}, {"b": "x"}, ["a: 'x' (removed)", "b: (added) 'x'"]),
        ([1], [2], ["[0]: 1 -> 2"]),
        (None, 1, ["(root): None -> 1"]),
    ],
)
def test_drift_is_told_by_the_values_that_changed(old: Any, new: Any, lines: list[str]) -> None:
    told = describe_drift(json.dumps(old), json.dumps(new))
    assert told == "".join(["\nChanged config values:"] * bool(lines) + [f"\n  {x}" for x in lines])


def test_nothing_is_told_of_a_recipe_that_is_not_known() -> None:
    assert describe_drift(None, "1") == describe_drift("1", None) == ""


def test_a_description_of_drift_is_bounded() -> None:
    """Else a recipe that was written anew fills the log of a run."""
    old = {f"k{i}": 0 for i in range(30)}
    told = describe_drift(json.dumps(old), json.dumps(dict.fromkeys(old, 1)))
    assert len(told.splitlines()) == 23
    assert told.endswith("and 10 more")
