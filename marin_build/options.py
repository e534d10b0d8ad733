"""The fields of a step that an author gives as options, and that are not its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.resources import ResourceConfig
    from marin_build.retries import Retries


class StepOptions(TypedDict, total=False):
    """Options of `@step`, `.options(...)` and `command(...)`; see StepSpec for each of them."""

    output_path_prefix: str | None
    override_output_path: str | None
    version: str | None
    expected_fingerprint: str | None
    outputs: Sequence[str] | None
    resources: ResourceConfig | None
    env_vars: Mapping[str, str]
    retries: int | Retries
    timeout: float | None
    budgets: Mapping[str, int]
    resumable: bool
    tags: Sequence[str]
    description: str
    code: Literal["report", "rebuild", "ignore"] | None
