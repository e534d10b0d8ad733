"""The options of `@step`, `.options(...)` and `command(...)`; a misspelt one is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from marin_build.errors import SpecificationError
from marin_build.pipeline.declared_at import declaring_place, shown_here
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.retries import Retries


class StepOptions(TypedDict, total=False):
    """Options of `@step`, `.options(...)` and `command(...)`; see StepSpec for each of them."""

    output_path_prefix: str | os.PathLike[str] | None
    override_output_path: str | os.PathLike[str] | None
    fingerprint_payload: str | None
    writes_record: bool
    version: str | None
    expected_fingerprint: str | None
    outputs: Sequence[str] | None
    resources: ResourceConfig | None
    env_vars: Mapping[str, str]
    retries: int | Retries
    timeout: float | None
    secrets: Sequence[str]
    budgets: Mapping[str, int]
    resumable: bool
    temp: bool
    keep: bool
    detached: Sequence[str]
    tags: Sequence[str]
    description: str
    code: Literal["report", "rebuild", "ignore"] | None


def check_options(called: str, options: Mapping[str, object], others: Sequence[str] = ()) -> None:
    """Refuse options that steps do not have, with the nearest one that they have.

    Args:
        called: the function that was given them.
        options: the options.
        others: further arguments that this function takes.

    Raises:
        SpecificationError: there is no such option.

    """
    known = ["name", *others, *StepOptions.__annotations__]
    for unknown in options.keys() - StepOptions.__annotations__.keys():
        raise SpecificationError(
            f"`{called}(...)` has no option `{unknown}`",
            facts=[("declared", shown_here(declaring_place())), ("it takes", ", ".join(known))],
            consequence="nothing was run",
            hint=did_you_mean(unknown, known),
        )
