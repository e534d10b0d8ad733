"""What `apply` says when no target is to be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.terminal import echo
from marin_build.plan.decisions import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.cli.next_commands import NextCommands
    from marin_build.operations.planning.planned import Planned
    from marin_build.plan.decisions import Decision


def show_nothing_to_build(
    planned: Planned, commands: NextCommands, *, as_json: bool, quiet: bool
) -> None:
    """Print that all is built, where the outputs are, what drifted, and what is blocked.

    Args:
        planned: a plan without anything to build.
        commands: those that a reader may want next.
        as_json: print events instead.
        quiet: leave out where the outputs are.

    """
    blocked = planned.decided.of_kind(Kind.BLOCKED)
    if as_json:
        _print_events(planned)
    else:
        _say(planned, commands, is_blocked=bool(blocked), quiet=quiet)
    _say_what_is_blocked(planned, blocked, commands.again)


def _print_events(planned: Planned) -> None:
    from marin_build.cli.views.apply_text import show_json
    from marin_build.operations.building.prepare_apply import (
        drifted_without_run,
        totals_without_run,
    )

    for event in drifted_without_run(planned):
        show_json(event)
    show_json(totals_without_run(planned))


def _say(planned: Planned, commands: NextCommands, *, is_blocked: bool, quiet: bool) -> None:
    if planned.decided.snapshot.drifted:
        from marin_build.cli.views.apply_text import TextView
        from marin_build.operations.building.prepare_apply import drifted_without_run

        for event in drifted_without_run(planned):
            TextView(commands)(event)
    if not is_blocked:
        from marin_build.cli.views.outputs_text import output_lines
        from marin_build.plan.requested_outputs import requested_outputs

        reused = planned.reused
        # Not "built": of those below a built target nothing is read, and one may have failed since.
        echo(f"nothing to do: {reused:,} target{'s are' if reused != 1 else ' is'} reused")
        if not quiet:
            for line in output_lines(*requested_outputs(planned.decided), commands.paths):
                echo(line)
    if planned.drifted:
        from marin_build.cli.views.drift_text import show_drift

        show_drift(planned.drifted, commands.plan)


def _say_what_is_blocked(planned: Planned, blocked: Sequence[Decision], again: str) -> None:
    if not blocked:
        return
    from marin_build.plan.block_reasons import FailureKept
    from marin_build.plan.reason_text import describe_decision
    from marin_build.text.readable import printable

    for decision in blocked:
        target = planned.decided.targets.all[decision.index]
        reason = printable(describe_decision(decision))
        echo(f"error: `{target.name}` is blocked: {reason}", err=True)
    if any(isinstance(decision.reason, FailureKept) for decision in blocked):
        echo(f"hint: {again} reruns what failed", err=True)
