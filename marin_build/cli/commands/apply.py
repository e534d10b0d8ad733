"""`marin-build apply`: build what is not built."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import budget_option, pipeline_options
from marin_build.cli.views.warnings import show_warning
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED, UsageError
from marin_build.operations.budgets import (
    capacity_here,
    capacity_if_limited,
    fitted,
    parse_budgets,
    unused_budgets,
)
from marin_build.operations.options import PipelineOptions, command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from marin_build.apply.events import Event, StepFailed
    from marin_build.engines.base import Engine
    from marin_build.operations.loading import Loaded
    from marin_build.plan.decisions import Plan


@click.command("apply")
@click.argument("targets", nargs=-1)
@click.option(
    "-j", "--jobs", type=click.IntRange(min=1), help="Targets built at once [default: cores]."
)
@click.option(
    "-k", "--keep-going", is_flag=True, help="After a failure go on with the independent ones."
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    metavar="N",
    help="As -k, but after N failures start nothing more.",
)
@click.option("--fail-fast", is_flag=True, help="After a failure end what runs, too.")
@click.option("--force", metavar="TARGET", multiple=True, help="Build it although it is built.")
@budget_option
@click.option("--no-rerun-failed", is_flag=True, help="Refuse what failed before.")
@click.option("--isolation", help="process, worker or thread.")
@click.option("--no-lease", is_flag=True, help="Build without leases: nobody else builds there.")
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a trace for Perfetto or Chrome when it is over.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON event a line.")
@click.option("-q", "--quiet", is_flag=True, help="Show failures and totals only.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    jobs: int | None,
    force: tuple[str, ...],
    budgets: tuple[str, ...],
    isolation: str | None,
    max_failures: int | None,
    trace: str | None,
    *,
    keep_going: bool,
    fail_fast: bool,
    no_rerun_failed: bool,
    no_lease: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Build what is not built; or replay exactly the plan in a directory.

    TARGET is as for `plan`; a folder that holds a plan.json is a plan.
    """
    from marin_build.cli.standard_streams import lasting_streams
    from marin_build.operations.loading import chosen_engine, load
    from marin_build.operations.plan import plan_for

    click.get_current_context().with_resource(lasting_streams())
    _check_endings(keep_going=keep_going, fail_fast=fail_fast, max_failures=max_failures)
    given = parse_budgets(budgets)
    pinned: Mapping[str, str] = {}
    saved = targets[0] if targets and _is_plan(targets[0]) else None
    if saved is not None:
        _check_fixed(options, targets[1:], force, no_rerun_failed=no_rerun_failed)
        loaded, plan, pinned, engine = _saved_plan(saved, options)
    else:
        loaded = load(options)
        engine = chosen_engine(loaded, options)
        plan = plan_for(loaded, targets, forced=force, rerun_failed=not no_rerun_failed)
    if not engine.capabilities.applies:
        raise UsageError(
            f"cannot submit to `{engine.name}` yet",
            consequence="nothing was run",
            hint=(
                f"submit its files yourself: {shlex.join(engine.words_to_run('DIR'))}"
                if saved is not None
                else f"marin-build plan --engine {engine.name} -o DIR, and submit its files"
            ),
        )
    for warning in unused_budgets(loaded.targets, given):
        show_warning(warning)
    capacity = capacity_here(loaded.settings.budgets, given)
    plan = fitted(plan, engine, capacity)
    words = _words(
        ("-j", jobs),
        ("-k", keep_going),
        ("--max-failures", max_failures),
        ("--fail-fast", fail_fast),
        *(("--budget", budget) for budget in budgets),
        ("--isolation", isolation),
        ("--no-lease", no_lease),
    )
    again = command_line("apply", options, [*targets, *words])

    def alone(failure: StepFailed) -> str:
        if saved is not None:
            return shlex.join(["bash", os.path.join(saved, "steps", failure.target, "run.sh")])
        names = [target.name for target in loaded.targets.all]
        is_one = names.count(failure.name) == 1
        return command_line("run", options, [failure.name if is_one else failure.target])

    if trace is not None:
        from marin_build.operations.trace import begin_trace

        begin_trace(trace)
    if not plan.to_build and not plan.sealed:
        return _nothing_to_build(plan, again, as_json=as_json)
    from marin_build.operations.adopted_data import with_adopted
    from marin_build.operations.apply import exit_code, replay
    from marin_build.operations.estimate import expected_seconds

    jobs = jobs or loaded.settings.jobs or os.cpu_count() or 1
    loaded, plan = with_adopted(loaded, plan)
    for warning in loaded.warnings():
        show_warning(warning)
    is_live = not (as_json or quiet) and _moves_cursor()
    expected = expected_seconds(loaded, plan, jobs, is_shown=is_live)
    finished = replay(
        loaded,
        plan,
        pinned,
        jobs=jobs,
        keep_going=keep_going,
        max_failures=max_failures,
        fail_fast=fail_fast,
        expected=expected,
        capacity=capacity_if_limited(plan, capacity, {*loaded.settings.budgets, *given}),
        trace=trace,
        isolation=isolation or loaded.settings.isolation,
        tell=(
            _live_view(plan, expected, again, alone, max_failures or (None if keep_going else 1))
            if is_live
            else _view(again, alone, as_json=as_json, quiet=quiet)
        ),
        lease=not no_lease,
        keep=bool(plan.to_build),
    )
    return exit_code(finished)


def _words(*options: tuple[str, str | int | bool | None]) -> list[str]:
    """Return the options that were given as words of a command line."""
    given = [(name, value) for name, value in options if value not in (None, False)]
    return [w for name, value in given for w in ([name] if value is True else [name, str(value)])]


def _check_endings(*, keep_going: bool, fail_fast: bool, max_failures: int | None) -> None:
    if keep_going and fail_fast and max_failures is None:
        raise UsageError(
            "`--keep-going` and `--fail-fast` contradict each other",
            consequence="nothing was run",
            hint="--fail-fast --max-failures N goes on until there are N failures",
        )


def _nothing_to_build(plan: Plan, again: str, *, as_json: bool) -> int:
    """Say so; blocked targets (nothing builds them, or they may not be rerun) are a failure."""
    from marin_build.plan.decisions import Kind
    from marin_build.plan.reasons import FailureKept

    blocked = plan.of_kind(Kind.BLOCKED)
    reused = plan.summary()["reuse"] + plan.pruned
    if plan.snapshot.drifted:
        from marin_build.apply.totals import drifted_before

        view = _view(again, lambda _failure: again, as_json=as_json, quiet=False)
        for drifted in drifted_before(plan):
            view(drifted)
    if as_json:
        from marin_build.apply.events import ApplyFinished
        from marin_build.cli.views.apply_text import show_json

        show_json(ApplyFinished("", 0, 0, reused, len(blocked), 0, 0, 0, 0.0))
    elif not blocked:
        click.echo(f"nothing to do: {reused} target{'s are' if reused != 1 else ' is'} built")
    for decision in blocked:
        from marin_build.plan.reason_text import describe
        from marin_build.text import printable

        target = plan.targets.all[decision.index]
        reason = printable(describe(decision.reason))
        click.echo(f"error: `{target.name}` is blocked: {reason}", err=True)
    if any(isinstance(decision.reason, FailureKept) for decision in blocked):
        click.echo(f"hint: {again} reruns what failed", err=True)
    return EXIT_TARGET_FAILED if blocked else EXIT_OK


def _is_plan(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "plan.json"))


def _check_fixed(
    options: PipelineOptions,
    targets: tuple[str, ...],
    force: tuple[str, ...],
    *,
    no_rerun_failed: bool,
) -> None:
    """Refuse what a saved plan fixes: it is replayed exactly, or made again."""
    given = {
        "targets": targets,
        "-f": options.file,
        "--prefix": options.prefix,
        "--engine": options.engine,
        "--set": options.parameters,
        "--code-policy": options.code,
        "--force": force,
        "--no-rerun-failed": no_rerun_failed,
    }
    names = [name for name, value in given.items() if value]
    if names:
        raise UsageError(
            f"a saved plan fixes {', '.join(f'`{name}`' for name in names)}",
            consequence="nothing was run",
            hint="make another plan: marin-build plan -o DIR",
        )


def _view(
    again: str, alone: Callable[[StepFailed], str], *, as_json: bool, quiet: bool
) -> Callable[[Event], None]:
    if as_json:
        from marin_build.cli.views.apply_text import show_json

        return show_json
    if quiet:
        from marin_build.cli.views.apply_text import QuietView

        return QuietView(again, alone)
    from marin_build.cli.views.apply_text import TextView

    return TextView(again, alone)


def _live_view(
    plan: Plan,
    expected: Mapping[int, float],
    again: str,
    alone: Callable[[StepFailed], str],
    stops_after: int | None,
) -> Callable[[Event], None]:
    """Return the live view; it gives the terminal back when the command ends, however it does."""
    from marin_build.cli.views.apply_live import live_view

    view = live_view(plan, expected, again, alone, stops_after=stops_after)
    return click.get_current_context().with_resource(view)


def _moves_cursor() -> bool:
    """Return whether standard output is a terminal that can draw over what it shows."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _saved_plan(
    folder: str, options: PipelineOptions
) -> tuple[Loaded, Plan, Mapping[str, str], Engine[Any]]:
    """Return the plan in a directory, against the store as it is now, and its engine."""
    from marin_build.engines.registry import open_engine
    from marin_build.operations.replay import load_saved, pinned_code, replan_saved

    loaded, document = load_saved(folder, options)
    engine = open_engine(document.engine, loaded.settings.engines)
    return loaded, replan_saved(loaded, document), pinned_code(document), engine
