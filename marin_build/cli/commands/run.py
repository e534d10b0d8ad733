"""`marin-build run`: build one target here and now, in the foreground, for debugging."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.views.warnings import show_event, show_warning
from marin_build.errors import EXIT_INTERRUPTED, EXIT_OK, StepFailedError, StoppedError, UsageError
from marin_build.operations.options import PipelineOptions, command_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.plan.outcomes import Failed, Outcome


@click.command("run")
@click.argument("target")
@click.option("--force", is_flag=True, help="Build it although it is built.")
@click.option("--no-lease", is_flag=True, help="Build without a lease: nobody else builds there.")
@pipeline_options
def command(options: PipelineOptions, target: str, *, force: bool, no_lease: bool) -> int:
    """Build one target in the foreground: its step has the keyboard and the screen.

    What it needs must be built. It runs in this process, as `apply` would run it: under its lease,
    with its environment variables, in this working directory; `breakpoint()` works. It is tried
    once, its time-out does not count, and if it succeeds it is committed.
    """
    from marin_build.apply.totals import drifted_before
    from marin_build.operations.adopted_data import with_adopted
    from marin_build.operations.loading import load
    from marin_build.operations.run import build_in_foreground, plan_of_one
    from marin_build.plan.decisions import Kind
    from marin_build.plan.reason_text import describe
    from marin_build.plan.selection import select
    from marin_build.text import printable

    loaded = load(options, only=target)
    chosen = select(loaded.targets, [target])
    if len(chosen) != 1:
        raise UsageError(
            f"`{target}` stands for {len(chosen)} targets; one is run at a time",
            consequence="nothing was run",
        )
    (index,) = chosen
    plan = plan_of_one(
        loaded,
        index,
        frozenset(chosen if force else ()),
        lambda missing: _build_first(options, missing),
    )
    again = command_line("run", options, [target])
    wanted = plan.targets.all[index]
    for blocked in plan.of_kind(Kind.BLOCKED):
        why = printable(describe(blocked.reason))
        raise UsageError(f"`{wanted.name}` is blocked: {why}", consequence="nothing was run")
    if plan.of_kind(Kind.REUSE) and not plan.sealed:
        return _is_built(wanted, again)
    loaded, plan = with_adopted(loaded, plan, readers=[index])
    for warning in loaded.warnings():
        show_warning(warning)
    for drifted in drifted_before(plan):
        words = printable(drifted.message)
        click.echo(f"warning: {drifted.target} is reused, though {words}", err=True)
    return _ending(
        plan, build_in_foreground(loaded, plan, lease=not no_lease, on_event=show_event), again
    )


def _build_first(options: PipelineOptions, missing: Sequence[str]) -> str:
    from marin_build.operations.run import SHOWN_MISSING

    words = missing if len(missing) <= SHOWN_MISSING else ()
    return f"build them first: {command_line('apply', options, words)}"


def _is_built(target: Target, again: str) -> int:
    click.echo(f"`{target.id}` is built: nothing was run", err=True)
    click.echo(f"hint: to build it all the same: {again} --force", err=True)
    return EXIT_OK


def _ending(plan: Plan, outcome: Outcome, again: str) -> int:
    """Say how it ended; standard output is the step's.

    Raises:
        StepFailedError: it failed.
        StoppedError: somebody else builds it, or it must not be built.

    """
    from marin_build.cli.views.apply_text import duration
    from marin_build.plan import outcomes as ended
    from marin_build.text import printable

    target = plan.targets.all[plan.decisions[0].index]
    match outcome:
        case ended.Succeeded(attempt=attempt, seconds=seconds):
            click.echo(f"built {target.id} in {duration(seconds)} (attempt {attempt})", err=True)
            return EXIT_OK
        case ended.Reused(published=True):
            click.echo(f"`{target.id}` was committed before, and is published now", err=True)
            return EXIT_OK
        case ended.Reused():
            return _is_built(target, again)
        case ended.Interrupted(attempt=attempt):
            click.echo(f"cut short: {target.id} (attempt {attempt})", err=True)
            click.echo(f"to run it again: {again}", err=True)
            return EXIT_INTERRUPTED
        case ended.Failed():
            raise _failure(target, outcome, again)
        case ended.Held(lease=lease):
            raise StoppedError(
                f"`{target.id}` is held: somebody builds it",
                facts=[("holder", printable(lease.describe()))],
                consequence="nothing was run",
                hint="marin-build status says since when; `marin-build apply` waits for it",
            )
        case ended.Stopped(message=message, hint=hint):
            raise StoppedError(message, hint=hint or None)
    assert_never(outcome)


def _failure(target: Target, failure: Failed, again: str) -> StepFailedError:
    from marin_build.cli.views.failure_text import first_line
    from marin_build.pipeline.retries import unsaid_meaning

    meaning = unsaid_meaning(failure.exit_code, failure.message)
    code = f"exit code {failure.exit_code}{f', {meaning}' if meaning else ''}"
    attempt = f" (attempt {failure.attempt})" if failure.attempt else ""
    why = f": {first_line(failure.message)}" if failure.message else ""
    return StepFailedError(
        f"`{target.name}` failed with {code}{attempt}{why}",
        facts=[("output", f"{target.output_path}, as the step left it until the next attempt")],
        hint=failure.hint or f"run it again: {again}",
    )
