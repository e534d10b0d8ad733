"""What `disk_cache` keeps without pickle is read back equal, and reading it runs nothing."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.runtime.cached_values import UnkeepableError, decoded, encoded

_LEAVES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.sets(_LEAVES)
        | st.frozensets(_LEAVES)
        | st.dictionaries(_LEAVES, inner)
    ),
    max_leaves=10,
)


@dataclass
class Score:
    loss: float
    names: tuple[str, ...] = ()


def _kinds(value: Any) -> Any:
    """Return a value as a text that tells 1 from 1.0 and True, and a list from a tuple."""
    match value:
        case dict():
            return [(_kinds(key), _kinds(part)) for key, part in value.items()]
        case list() | tuple():
            return type(value).__name__, [_kinds(part) for part in value]
        case set() | frozenset():
            return type(value).__name__, sorted(repr(_kinds(part)) for part in value)
    return type(value).__name__, repr(value)


@given(_VALUES)
def test_plain_values_are_read_back_type_for_type(value: Any) -> None:
    """Else the second call of a program returns something else than the first one."""
    read = decoded(encoded(value, lambda: None), lambda: None)
    assert _kinds(read) == _kinds(value)


@pytest.mark.parametrize(
    "value",
    [np.arange(6).reshape(2, 3), np.float32(0.5), np.array(["a", "bc"]), np.array(3), Path("a/b")],
)
def test_arrays_and_paths_are_read_back(value: Any) -> None:
    read = decoded(encoded([value], lambda: None), lambda: None)[0]
    assert type(read) is type(value)
    assert np.array_equal(read, value) if hasattr(value, "dtype") else read == value
    assert getattr(read, "dtype", None) == getattr(value, "dtype", None)


def test_what_is_not_finite_is_read_back() -> None:
    read = decoded(encoded([math.nan, math.inf, -math.inf], lambda: None), lambda: None)
    assert math.isnan(read[0])
    assert read[1:] == [math.inf, -math.inf]


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Score(0.5, ("a",)), Score),
        ([Score(1.0)], list[Score]),
        ({"a": Score(2.0)}, dict[str, Score]),
    ],
)
def test_what_a_function_is_annotated_to_return_is_read_back(value: Any, annotation: Any) -> None:
    assert decoded(encoded(value, lambda: annotation), lambda: annotation) == value


def _looped() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        Score(0.5),
        [Score(0.5)],
        {1: {2: [lambda: 1]}},
        np.array([object()]),
        1j,
        "\ud800",
        _looped(),
        Path,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_form_is_refused(value: Any) -> None:
    """Else it is pickled unsaid, or comes back as something else."""
    with pytest.raises(UnkeepableError):
        encoded(value, lambda: None)


def _npy_of_objects() -> str:
    import base64
    import io

    stream = io.BytesIO()
    np.save(stream, np.array([object], dtype=object), allow_pickle=True)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize(
    "tree",
    [
        {}, [], ["x"], ["list"], ["list", 1], ["dict", [1]], ["dict", [[["list", []], 1]]],
        ["float", 1], ["float", "x"], ["bytes", "%"], ["path", 1], ["array", ""], ["array", "AAAA"],
        ["array", _npy_of_objects()], ["set", [["list", []]]], ["unknown", 1], [["list", []], 1],
    ],
    ids=lambda tree: repr(tree)[:30],
)  # fmt: skip
def test_what_was_not_made_here_is_a_value_error(tree: Any) -> None:
    """Else bytes that others wrote run something, or end the program in any way."""
    with pytest.raises(ValueError):  # noqa: PT011 - the words of libraries
        decoded(json.dumps({"schema_version": 1, "value": tree}).encode(), lambda: None)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", pickle.dumps([1]), b"[" * 100_000])
def test_no_document_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words of libraries
        decoded(data, lambda: None)
