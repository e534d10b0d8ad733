"""Steps whose functions would read something else when they run than when they were declared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError
from marin_build.pipeline.captured_names import CellValues
from marin_build.pipeline.captured_values import is_late, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.pipeline.captured_names import Captured
    from marin_build.pipeline.step_spec import StepSpec


def late_bindings(steps: Iterable[StepSpec]) -> list[SpecificationError]:
    """Return an error for each value that changed after a step was declared that reads it."""
    found: list[SpecificationError] = []
    before: Sequence[Captured] = ()  # what steps of one function share, and none of it is late
    for step in steps:
        captured: Sequence[Captured]
        if type(step.captured) is CellValues:
            function: Any = step.fn
            if step.captured.are_those_of(function):
                continue
            captured = step.captured.captured(function, step.hash_attrs)
        elif (captured := step.captured) is before:
            continue
        late = [each for each in captured if is_late(each, step.hash_attrs)]
        if late:
            found += [_error(step, each) for each in late]
        else:
            before = captured
    return found


def _error(step: StepSpec, late: Captured) -> SpecificationError:
    name = late.name
    then = step.hash_attrs[name] if late.is_attribute else late.then
    return SpecificationError(
        f"`{step.name}` would run with another `{name}` than it was declared with",
        facts=[
            ("declared", step.place),
            ("then", shown_value(then)),
            ("when it runs", shown_value(late.now)),
        ],
        consequence="nothing was run",
        hint="bind the value when the function is made: "
        f"`lambda output, {name}={name}: ...`, "
        f"functools.partial(f, {name}={name}), or an argument of a @step",
    )
