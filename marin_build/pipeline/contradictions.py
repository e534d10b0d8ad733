"""Attributes of a step that its function reads as other values: such a step is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, refuse
from marin_build.pipeline.captured_values import contradictions, shown_value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.captured_names import Captured


def refuse_contradictions(step: Any, captured: Iterable[Captured]) -> None:
    """Refuse a step for each attribute that has another value in its function.

    Args:
        step: a StepSpec, whose module imports this one.
        captured: what its function reads from around it.

    Raises:
        SpecificationError: there is one; see `errors.refuse`.

    """
    for name, value in contradictions(step.fn, step.hash_attrs, captured):
        what = f"`{name}` of `{step.name}` is one value as an attribute, and another in its"
        refuse(
            SpecificationError(
                f"{what} function",
                facts=[
                    ("declared", step.place),
                    ("attribute", shown_value(step.hash_attrs[name])),
                    ("function", shown_value(value)),
                ],
                consequence="nothing was run",
                hint="give both the same value, or the attribute another name",
            )
        )
