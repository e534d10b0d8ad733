"""The command lines that the views of `apply` name."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import StepEnded


class NextCommands(NamedTuple):
    """Command lines for the same pipeline.

    Args:
        again: continues the run.
        alone: returns the one that runs a failed target alone.
        paths: prints where all requested outputs are.
        plan: shows how reused targets drifted.

    """

    again: str
    alone: Callable[[StepEnded], str]
    paths: str = "marin-build path"
    plan: str = "marin-build plan"
