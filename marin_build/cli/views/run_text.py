"""The result of `run`, for people; on standard error, as the step has standard output."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from marin_build.cli.terminal import echo
from marin_build.cli.views.apply_text import duration
from marin_build.plan.outcomes import Interrupted, Reused, Succeeded

if TYPE_CHECKING:
    from marin_build.operations.building.run import RanTarget


def show_ran(ran: RanTarget) -> None:
    """Print on standard error how a target ended that was run alone."""
    for line in _lines(ran):
        echo(line, err=True)


def _lines(ran: RanTarget) -> list[str]:
    match ran.outcome:
        case Succeeded(attempt=attempt, seconds=seconds):
            return [f"built {ran.target} in {duration(seconds)} (attempt {attempt})"]
        case Reused(published=True):
            return [f"`{ran.target}` was committed before, and is published now"]
        case Reused() | None:
            return [
                f"`{ran.target}` is built: nothing was run",
                f"hint: to build it all the same: {ran.again} --force",
            ]
        case Interrupted(attempt=attempt):
            return [
                f"interrupted: {ran.target} (attempt {attempt})", f"to run it again: {ran.again}",
            ]  # fmt: skip
    assert_never(ran.outcome)
