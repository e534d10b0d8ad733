"""Steps whose functions would read something else when they run than when they were declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.pipeline.captured_values import is_late, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.pipeline.step_spec import StepSpec


def late_bindings(steps: Iterable[StepSpec]) -> list[SpecificationError]:
    """Return an error for each value that changed after a step was declared that reads it."""
    return [error for step in steps if step.captured for error in late_bindings_of(step)]


def late_bindings_of(step: StepSpec) -> Iterator[SpecificationError]:
    """Yield an error for each value that a step's function reads, and that is not as declared."""
    for each in step.captured:
        if is_late(each, step.hash_attrs):
            then = step.hash_attrs[each.name] if each.is_attribute else each.then
            yield SpecificationError(
                f"`{step.name}` would run with another `{each.name}` than it was declared with",
                facts=[
                    ("declared", step.place),
                    ("then", shown_value(then)),
                    ("when it runs", shown_value(each.now)),
                ],
                consequence="nothing was run",
                hint="bind the value when the function is made: "
                f"`lambda output, {each.name}={each.name}: ...`, "
                f"functools.partial(f, {each.name}={each.name}), or an argument of a @step",
            )
