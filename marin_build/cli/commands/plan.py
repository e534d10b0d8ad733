"""`marin-build plan`: what would be built, why, with what."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import budget_option, pipeline_options
from marin_build.cli.views.plan_rows import VERBS
from marin_build.cli.views.warnings import show_warning
from marin_build.errors import EXIT_CHANGES_PENDING, UsageError
from marin_build.operations.budgets import capacity_here, fitted, parse_budgets, unused_budgets
from marin_build.operations.options import PipelineOptions, command_line
from marin_build.plan.assumptions import NOTHING_ASSUMED, assume

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any, Literal

    from marin_build.cli.views.plan_rows import Verb
    from marin_build.engines.base import Engine
    from marin_build.operations.loading import Loaded
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.decisions import Plan

    Form = Literal["text", "json", "markdown"]

_ONLY = ("run", *VERBS)


@click.command("plan")
@click.argument("targets", nargs=-1)
@click.option("-o", "--output", metavar="DIR", help="Write the plan directory.")
@click.option("--force", metavar="TARGET", multiple=True, help="Build it although it is built.")
@click.option(
    "--assume-changed", metavar="TARGET", multiple=True, help="What if its identity had changed?"
)
@click.option("--assume-built", metavar="TARGET", multiple=True, help="What if it were built?")
@click.option("-j", "--jobs", type=click.IntRange(min=1), help="Estimate for so many at once.")
@budget_option
@click.option("--no-rerun-failed", is_flag=True, help="Refuse what failed before.")
@click.option("--json", "form", flag_value="json", help="One JSON document.")
@click.option("--markdown", "form", flag_value="markdown", help="For a comment on a change.")
@click.option("--all", "show_all", is_flag=True, help="With --json: list pruned targets too.")
@click.option("-v", "--verbose", is_flag=True, help="Show every target, and its place.")
@click.option(
    "--only",
    metavar="WORD",
    multiple=True,
    type=click.Choice(_ONLY),
    help=f"Show only: {', '.join(_ONLY)}.",
)
@click.option("--blast-radius", is_flag=True, help="Show how much each change reruns.")
@click.option(
    "--check-placement", is_flag=True, help="Fail if an identity depends on prefix or machines."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there is something to build.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    output: str | None,
    force: tuple[str, ...],
    assume_changed: tuple[str, ...],
    assume_built: tuple[str, ...],
    budgets: tuple[str, ...],
    form: Form | None,
    only: tuple[str, ...],
    jobs: int | None,
    *,
    no_rerun_failed: bool,
    show_all: bool,
    verbose: bool,
    blast_radius: bool,
    check_placement: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what would be built and why; nothing is written to the store.

    TARGET is a step's name, a glob over names, +x (and all it needs), x+ (and all that need it),
    tag:T, status:failed|running|success|missing, or changed-since:REV. `a,b` is both, `a&b` what
    both select, `^c` all but c. Without any, what the pipeline requests.

    With --assume-changed and --assume-built the plan answers a question: it cannot be written or
    applied. Both may be given several times.
    """
    if output is not None and (assume_changed or assume_built):
        raise UsageError(
            "a plan with assumptions cannot be written: what it says is not so",
            consequence="nothing was written",
            hint="leave out -o, or --assume-changed and --assume-built",
        )
    from marin_build.observe.read_causes import with_causes
    from marin_build.operations.loading import chosen_engine, load
    from marin_build.operations.plan import plan_for

    if only and form == "json":
        raise UsageError(
            "`--only` chooses lines for people: JSON has every decision",
            consequence="nothing was planned",
            hint="choose by `decision`, or choose targets",
        )
    given = parse_budgets(budgets)
    loaded = load(options)
    engine = chosen_engine(loaded, options)
    for warning in loaded.warnings():
        show_warning(warning)
    if check_placement:
        from marin_build.operations.check_placement import check_placement as check

        check(loaded, options)
        click.echo(f"placement: {len(loaded.targets)} identities are the same elsewhere", err=True)
    plan = plan_for(
        loaded,
        targets,
        forced=force,
        rerun_failed=not no_rerun_failed,
        history=True,
        assumed=_assumptions(loaded, assume_changed, assume_built, force),
    )
    for warning in unused_budgets(loaded.targets, given):
        show_warning(warning)
    plan = fitted(plan, engine, capacity_here(loaded.settings.budgets, given))
    plan = with_causes(loaded.store, plan)
    flags = [("--force", force), ("--budget", budgets)]
    words = [*targets, *(word for flag, values in flags for one in values for word in (flag, one))]
    again, written = ("to build it", command_line("apply", options, words)), ""
    if output is not None:
        from marin_build.operations.adopted_data import with_adopted

        loaded, plan = with_adopted(loaded, plan)
        again, written = _write(loaded, plan, output, engine)
    _show(
        loaded,
        plan,
        again,
        engine,
        form or "text",
        _verbs(only),
        jobs,
        given,
        show_all=show_all,
        verbose=verbose,
        blast_radius=blast_radius,
    )
    if output is not None and form is None:
        click.echo(written)
    pending = bool(plan.to_build) or plan.summary()["blocked"] > 0
    return EXIT_CHANGES_PENDING if detailed_exitcode and pending else 0


def _verbs(only: tuple[str, ...]) -> Collection[Verb]:
    from marin_build.cli.views.plan_rows import RUN_VERBS

    return [verb for verb in VERBS if verb in only or ("run" in only and verb in RUN_VERBS)]


def _write(
    loaded: Loaded, plan: Plan, folder: str, engine: Engine[Any]
) -> tuple[tuple[str, str], str]:
    """Write the plan directory; return how it is run, and what was written."""
    from marin_build.emit.graph.saved_plan_page import MOST_TARGETS
    from marin_build.engines.emission import emit_for
    from marin_build.operations.plan_directory import write_plan_directory
    from marin_build.plan.document import PAGE_FILE

    files = emit_for(
        engine,
        plan,
        pipeline=loaded.file,
        parameters=loaded.pipeline.parameters,
        overrides=loaded.settings.templates,
        with_page=True,
    )
    write_plan_directory(folder, files)
    written = f"written: {os.path.join(folder, '')}"
    if PAGE_FILE not in files:
        written += f", without {PAGE_FILE}: there are more than {MOST_TARGETS:,} targets"
    label = "to run exactly this" if engine.capabilities.applies else "to submit it"
    return (label, shlex.join(engine.words_to_run(folder))), written


def _show(
    loaded: Loaded,
    plan: Plan,
    again: tuple[str, str],
    engine: Engine[Any],
    form: Form,
    only: Collection[Verb],
    jobs: int | None,
    budgets: Mapping[str, str],
    *,
    show_all: bool,
    verbose: bool,
    blast_radius: bool,
) -> None:
    """Print the plan in one of its forms."""
    from marin_build.observe.read_drift import find_drift
    from marin_build.operations.estimate import estimate_for
    from marin_build.operations.loading import environments_for
    from marin_build.plan.regions import cross_region_reads

    found = find_drift(
        loaded.store, plan, environments_for(loaded, engine)
    )  # no part of a saved plan: machines differ in it
    plan = found.plan
    estimate = estimate_for(loaded, plan, engine, jobs, budgets)
    reads = cross_region_reads(plan, loaded.settings.regions)
    radius = None
    if blast_radius:
        from marin_build.plan.blast_radius import blast_radius as radius_of

        radius = radius_of(plan, estimate)
    if form == "json":
        from marin_build.cli.views.plan_json import plan_json
        from marin_build.plan.document import plan_document

        document = plan_document(
            plan,
            pipeline=loaded.file,
            parameters=loaded.pipeline.parameters,
            engine=engine.name,
            pin_code=False,
            show_pruned=show_all,
            drift=found.drift,
        )
        click.echo(plan_json(document, plan, estimate, radius, reads), nl=False)
        return
    from marin_build.cli.views.plan_view import show
    from marin_build.plan.plan_id import plan_id

    name = plan_id(plan, loaded.file, loaded.pipeline.parameters, engine.name)
    shown = show(plan, name, again, estimate, found.drift, reads=reads, verbose=verbose, only=only)
    if form == "markdown":
        from marin_build.cli.views.plan_text import plan_markdown, radius_markdown

        click.echo(plan_markdown(shown) + (radius_markdown(radius) if radius else ""), nl=False)
    elif sys.stdout.isatty():
        from marin_build.cli.views.plan_text import show_on_terminal

        show_on_terminal(shown, radius)
    else:
        from marin_build.cli.views.plan_text import plan_text, radius_text

        click.echo(plan_text(shown) + (radius_text(radius) if radius else ""), nl=False)


def _assumptions(
    loaded: Loaded, changed: tuple[str, ...], built: tuple[str, ...], forced: tuple[str, ...]
) -> Assumptions:
    """Return what is to be assumed, by index."""
    if not changed and not built:
        return NOTHING_ASSUMED
    from marin_build.operations.plan import choose

    to_build = set(choose(loaded, changed)) if changed else set[int]()
    to_reuse = choose(loaded, built) if built else ()
    rebuilt = to_build.union(choose(loaded, forced) if forced else ())
    if both := sorted(rebuilt.intersection(to_reuse)):
        raise UsageError(
            f"`{loaded.targets.all[both[0]].name}` is assumed to be built, and to be built again",
            consequence="nothing was planned",
        )
    return assume(loaded.targets, to_build, to_reuse)
