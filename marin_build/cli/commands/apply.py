"""`marin-build apply`: build the targets that are not built."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.next_commands import NextCommands
from marin_build.cli.options import budget_option, parse_budgets, pipeline_options
from marin_build.cli.terminal import moves_cursor
from marin_build.cli.views.warnings import show_warning
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED, NotFoundError, UsageError
from marin_build.operations.loading.options import (
    PipelineOptions,
    command_line,
    script_line,
    words_of,
)
from marin_build.operations.planning.planned import PlanRequest
from marin_build.plan.decisions import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event, StepEnded
    from marin_build.operations.building.prepare_apply import ReadyToBuild
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.planning.planned import Planned


@click.command("apply")
@click.argument("targets", nargs=-1)
@click.option(
    "-j",
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="Targets built at once [default: cores].",
)
@click.option(
    "-k", "--keep-going", is_flag=True, help="After a failure go on with independent targets."
)
@click.option(
    "--max-failures",
    type=click.IntRange(min=1),
    metavar="N",
    help="As -k, but start no more targets after N failures.",
)
@click.option("--fail-fast", is_flag=True, help="After a failure end the running targets, too.")
@click.option("--force", metavar="TARGET", multiple=True, help="Build it even if it is built.")
@click.option(
    "--overwrite",
    metavar="TARGET",
    multiple=True,
    help="Build it even if that deletes foreign data at its output path.",
)
@budget_option
@click.option("--no-rerun-failed", is_flag=True, help="Block targets that failed before.")
@click.option(
    "--on-drift",
    type=click.Choice(("report", "fail")),
    help="If a reused target drifted: say so, or build nothing and exit 5 [default: report].",
)
@click.option(
    "--isolation",
    metavar="WORD",
    help="How steps run: process, worker or thread, or in an engine here.",
)
@click.option("--no-lease", is_flag=True, help="Take no leases: no other run may build there.")
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write a trace for Perfetto or Chrome at the end.",
)
@click.option(
    "--summary",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write at the end in Markdown how it went.",
)
@click.option(
    "--junit",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Write at the end as JUnit XML how each target ended.",
)
@click.option("--annotate", is_flag=True, help="Print failures as annotations for GitHub Actions.")
@click.option(
    "--verify-signature",
    "signers",
    metavar="FILE",
    help="Replay a plan only if one of the allowed signers in FILE has signed it.",
)
@click.option(
    "--detach", is_flag=True, help="Submit all of it to the engine's queue, and do not stay."
)
@click.option(
    "--stream-logs", is_flag=True, help="Show the lines that steps print, each with its target."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON event a line.")
@click.option("-q", "--quiet", is_flag=True, help="Show failures and totals only.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    jobs: int | None,
    force: tuple[str, ...],
    overwrite: tuple[str, ...],
    budgets: tuple[str, ...],
    isolation: str | None,
    on_drift: OnDrift | None,
    max_failures: int | None,
    trace: str | None,
    signers: str | None,
    *,
    summary: str | None,
    junit: str | None,
    keep_going: bool,
    fail_fast: bool,
    no_rerun_failed: bool,
    no_lease: bool,
    annotate: bool,
    detach: bool,
    stream_logs: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Build the targets that are not built, or replay the plan in a directory.

    TARGET is as for `plan`; a folder that holds a plan.json is a plan.
    """
    from marin_build.cli.standard_streams import lasting_streams
    from marin_build.operations.building.isolation import with_isolation
    from marin_build.operations.building.prepare_apply import (
        Terms,
        folder_without_plan,
        is_saved_plan,
        plan_to_build,
        prepare_build,
    )
    from marin_build.operations.loading.kept_analysis import load_to_read

    click.get_current_context().with_resource(lasting_streams())
    if stream_logs and (quiet or detach):
        raise UsageError(
            f"`--stream-logs` and `{'--quiet' if quiet else '--detach'}` contradict each other",
            consequence="nothing was run",
            hint="to see the lines of one step: marin-build logs -f TARGET",
        )
    terms = Terms(
        keep_going,
        max_failures,
        fail_fast,
        isolation,
        not no_lease,
        trace,
        on_drift=on_drift,
        stream_logs=stream_logs,
    )
    terms.check()
    options, terms = with_isolation(options, terms)
    saved = targets[0] if targets and is_saved_plan(targets[0]) else None
    request = PlanRequest(
        () if saved is not None else targets,
        force,
        rerun_failed=not no_rerun_failed,
        jobs=jobs,
        budgets=parse_budgets(budgets),
        overwrite=overwrite,
    )
    if saved is not None:
        from marin_build.operations.building.replay import plan_saved, refuse_what_is_fixed

        refuse_what_is_fixed(options, targets[1:], request)
        planned = plan_saved(saved, options, request, show_warning, signers)
    else:
        with folder_without_plan(targets):
            if signers is not None:
                raise NotFoundError(
                    "`--verify-signature` is for a saved plan, and none is named",
                    consequence="nothing was run",
                    hint="marin-build apply DIR --verify-signature FILE",
                )
            planned = plan_to_build(
                load_to_read(options, needed=request.named), request, show_warning
            )
    words = words_of(
        ("-j", jobs),
        ("-k", keep_going),
        ("--max-failures", max_failures),
        ("--fail-fast", fail_fast),
        *(("--budget", budget) for budget in budgets),
        ("--isolation", terms.isolation),
        ("--no-lease", no_lease),
        ("--on-drift", on_drift),
        ("--stream-logs", stream_logs),
    )
    again = command_line("apply", options, [*targets, *words])
    named = targets if saved is None else ()
    commands = NextCommands(
        again,
        _alone(planned, options, saved),
        command_line("path", options, named),
        command_line("plan", options, named),
    )
    from marin_build.operations.planning.drifted import refuse_drift

    refuse_drift(planned, on_drift, options, saved=saved)
    if trace is not None:
        from marin_build.operations.building.trace import begin_trace

        begin_trace(trace)
    reports = None
    if summary is not None or junit is not None or annotate:
        from marin_build.cli.views.build_reports import BuildReports

        reports = BuildReports(planned, summary, junit, annotate=annotate)
        click.get_current_context().call_on_close(reports.write)
    if planned.is_done:
        return _end_without_run(planned, commands, as_json=as_json, quiet=quiet)
    if detach:
        return _detach(planned, commands, as_json=as_json)
    from marin_build.operations.building.apply import build, exit_code

    is_live = not (as_json or quiet) and moves_cursor(sys.stdout)
    ready = prepare_build(planned, is_shown=is_live, on_event=show_warning)
    if is_live:
        view = _live_view(ready, commands, terms.stops_after)
    else:
        view = _view(commands, as_json=as_json, quiet=quiet)
    if reports is not None:
        view = reports.beside(view)
    code = exit_code(build(ready, terms, view))
    _say_left_out(planned)
    return code


def _end_without_run(
    planned: Planned, commands: NextCommands, *, as_json: bool, quiet: bool
) -> int:
    """Say that no target is to be built; return the exit code: blocked targets are a failure."""
    from marin_build.cli.views.nothing_to_build import show_nothing_to_build

    show_nothing_to_build(planned, commands, as_json=as_json, quiet=quiet)
    _say_left_out(planned)
    return EXIT_TARGET_FAILED if planned.decided.of_kind(Kind.BLOCKED) else EXIT_OK


def _say_left_out(planned: Planned) -> None:
    """Say what a saved plan does not contain: steps that were not known when it was made."""
    if planned.folder and planned.decided.waiting:
        from marin_build.operations.building.further_parts import left_out

        if (note := left_out(planned)) is not None:
            show_warning(note)


def _detach(planned: Planned, commands: NextCommands, *, as_json: bool) -> int:
    """Submit a plan, and say which jobs there are."""
    from marin_build.cli.views.detached_text import detached_view
    from marin_build.operations.building.detach import detach

    view = detached_view(as_json=as_json)
    if planned.drifted and not as_json:
        from marin_build.cli.views.drift_text import show_drift

        show_drift(planned.drifted, commands.plan)
    view.finish(detach(planned, view.handed), planned.decided.names_waiting)
    return EXIT_OK


def _alone(
    planned: Planned, options: PipelineOptions, saved: str | None
) -> Callable[[StepEnded], str]:
    """Return a function that gives the command line to run a failed step alone."""

    def alone(failure: StepEnded) -> str:
        if saved is not None:
            return script_line(saved, failure.target)
        names = [target.name for target in planned.loaded.targets.all]
        is_one = names.count(failure.name) == 1
        return command_line("run", options, [failure.name if is_one else failure.target])

    return alone


def _view(commands: NextCommands, *, as_json: bool, quiet: bool) -> Callable[[Event], None]:
    if as_json:
        from marin_build.cli.views.apply_text import show_json

        return show_json
    if quiet:
        from marin_build.cli.views.apply_text import QuietView

        return QuietView(commands)
    from marin_build.cli.views.apply_plain import PlainView

    return PlainView(commands)


def _live_view(
    ready: ReadyToBuild, commands: NextCommands, stops_after: int | None
) -> Callable[[Event], None]:
    """Return the live view; it releases the terminal when the command ends in any way."""
    from marin_build.cli.views.apply_live import live_view

    view = live_view(ready.plan, ready.expected, commands, stops_after=stops_after)
    return click.get_current_context().with_resource(view)
