"""What is remembered of a function's cells in short says the same as a value for each of them.

Were it less, a step would run with another value than it was declared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.errors import SpecificationError
from marin_build.pipeline import captured_values
from marin_build.pipeline.captured_names import CellValues
from marin_build.pipeline.late_bindings import late_bindings

if TYPE_CHECKING:
    from collections.abc import Callable

_OTHER_STEPS = [StepSpec("a", fn=print), StepSpec("b", fn=print)]
_UNSET = object()
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.sampled_from([0.0, 1.0, 0.5, "1", "a", "", (1,), b"a", len, _UNSET, *_OTHER_STEPS]),
    st.lists(st.integers(0, 1), max_size=2),
)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(["size", "other", "more"]),
    st.one_of(st.none(), st.booleans(), st.integers(-1, 2), st.sampled_from([1.0, "1", "a"])),
    max_size=2,
)


def _cells(size: object, other: object) -> tuple[Callable[[str], object], Callable[..., None]]:
    """Return a function with two cells, and what gives these other values."""

    def build(output: str) -> object:
        return output, size, other

    def change(new_size: object, new_other: object) -> None:
        nonlocal size, other
        size, other = new_size, new_other
        if new_size is _UNSET:
            del size
        if new_other is _UNSET:
            del other

    change(size, other)
    return build, change


def _found(attrs: dict[str, Any], before: tuple[Any, Any], after: tuple[Any, Any]) -> list[str]:
    """Return the errors of a step whose function's cells change after its declaration."""
    build, change = _cells(*before)
    try:
        declared = StepSpec("s", hash_attrs=attrs, fn=build)
    except SpecificationError as error:
        return [error.render()]
    change(*after)
    return [error.render() for error in late_bindings([declared])]


@given(_ATTRIBUTES, st.tuples(_VALUES, _VALUES), st.tuples(_VALUES, _VALUES))
def test_both_ways_find_the_same(
    attrs: dict[str, Any], before: tuple[Any, Any], after: tuple[Any, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(captured_values, "_cell_values", lambda *_: None)
        at_length = _found(attrs, before, after)
    assert _found(attrs, before, after) == at_length


def test_the_short_way_is_taken_where_steps_are_declared_in_a_loop() -> None:
    """Else the property above compares nothing."""
    build, _ = _cells(1, _OTHER_STEPS[0])
    assert type(StepSpec("s", hash_attrs={"size": 1}, fn=build).captured) is CellValues
    mutable, _ = _cells(1, [])
    assert type(StepSpec("s", fn=mutable).captured) is tuple
