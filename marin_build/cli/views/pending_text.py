"""The targets of a plan that are still to be built, for the plan's `run.sh`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.plan.reason_text import describe
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.building.run_step import PendingTarget


def show_pending(pending: Sequence[PendingTarget]) -> None:
    """Print the ids of targets to build, one a line, and what is damaged on standard error."""
    for target in _ids_to_run(pending):
        echo(target)


def show_states(planned: Sequence[str], pending: Sequence[PendingTarget]) -> None:
    """Print a line for each target that a plan builds: `to-build ID` or `built ID`.

    A script finds whole lines only, whatever a wrapper around this program prints before or after
    them; and what no line tells of is an error to it, not a target that is built.

    Args:
        planned: the ids of these targets, in order.
        pending: those of them that are not built.

    """
    to_run = set(_ids_to_run(pending))
    lines = [f"{'to-build' if target in to_run else 'built'} {target}\n" for target in planned]
    echo("\n" + "".join(lines), nl=False)


def _ids_to_run(pending: Sequence[PendingTarget]) -> list[str]:
    """Return the ids of targets to build; say on standard error what is damaged."""
    for each in pending:
        if each.damage is not None:
            reason = printable(describe(each.damage))
            echo(f"error: `{each.target}` is blocked: {reason}", err=True)
    return [each.target for each in pending if each.is_to_run]
