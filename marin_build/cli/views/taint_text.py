"""The targets that `taint` marks or unmarks, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.emit.plan_text import plan_text
from marin_build.emit.plan_view import show
from marin_build.plan.plan_summary import RUN_VERBS
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import Tainted
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from marin_build.operations.marks.taint import TaintedTargets, Untainted


def show_targets_to_taint(found: TaintedTargets, command: str) -> None:
    """Print the targets that will be built again, and the command for that."""
    again = ("to build it again", command)
    shown = show(found.plan, found.plan_id, again, found.estimate, {}, only=RUN_VERBS)
    echo(plan_text(shown), nl=False)


def show_tainted(found: TaintedTargets) -> None:
    """Print how many targets are marked, and why."""
    count = f"{len(found.roots)} target{'s' if len(found.roots) != 1 else ''}"
    echo(f"tainted {count}: {printable(found.taint.reason)}")


def show_marks(read: Untainted) -> None:
    """Print each target that is marked, and why."""
    for target, taint in read.marks.items():
        why = printable(describe(Tainted(taint.reason, taint.by, taint.at)))
        echo(f"`{target}`: {why}")


def show_untainted(done: Untainted) -> None:
    """Print which targets are not marked any more."""
    for target in done.free:
        echo(f"`{target}` is not tainted any more")
    if not done.free:
        echo("no mark was removed: no target is tainted because of these alone")
