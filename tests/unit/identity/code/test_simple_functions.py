"""A function that holds no code has the digest that it has beside one that does.

Nearly all steps of a large pipeline have such functions, and their text is written a shorter way.
Were it another text, every step of every pipeline would count as drifted.
"""

from __future__ import annotations

import enum
import functools
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec, source, step
from marin_build.identity.code.digest import code_digest, code_of
from marin_build.identity.code.known_code import KnownCode, NotKnownError

if TYPE_CHECKING:
    from collections.abc import Callable


class Size(enum.IntEnum):
    LARGE = 3


class Word(str):
    __slots__ = ()


@step
def decorated(output: str) -> None: ...


def _other(output: str) -> int:
    return len(output)


_SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.sampled_from([StepSpec("a", fn=print), StepSpec("b", version="1", fn=print), source("x")]),
)
_HELD = st.one_of(
    _SIMPLE,
    st.sampled_from([Size.LARGE, Word("w"), math, _other, decorated, len, dict, decorated()]),
    st.lists(_SIMPLE, max_size=2),
    st.dictionaries(st.text(max_size=2), _SIMPLE, max_size=2),
)


def _closure(one: object, other: object) -> Callable[[str], object]:
    def build(output: str) -> object:
        return output, one, other

    return build


@given(_HELD, _HELD)
def test_both_ways_give_one_digest(one: object, other: object) -> None:
    fn = _closure(one, other)
    assert code_digest(fn) == code_of(fn).digest


@pytest.mark.parametrize("held", [1, "a", StepSpec("a", fn=print), [1], _other])
def test_what_an_earlier_process_read_gives_the_same(held: object) -> None:
    """Else what was kept confirms nothing, or confirms what differs."""
    fn = _closure(held, None)
    code = code_of(fn)

    class Reader(KnownCode):
        def of_function(self, function: Any) -> Any:
            from marin_build.identity.code.digest import reader_of

            return reader_of(function).of_function(function)

    assert Reader().digest(fn) == code.digest
    with pytest.raises(NotKnownError):
        KnownCode().digest(fn)


def test_defaults_and_empty_cells_are_no_less_than_values() -> None:
    """Else a step that another one replaced in a default counts as unchanged."""

    def with_default(output: str, size: int = 3) -> object:
        return output, size

    def with_named(output: str, *, size: int = 3) -> object:
        return output, size

    def empty(later: int = 1) -> Callable[[], object]:
        def build() -> object:
            return later

        assert build.__closure__ is not None
        del build.__closure__[0].cell_contents
        return build

    def recursive(depth: int) -> object:
        return recursive(depth - 1)

    partial = functools.partial(with_default, size=4)
    for fn in (with_default, with_named, empty(), recursive, partial, lambda output: output):
        assert code_digest(fn) == code_of(fn).digest
