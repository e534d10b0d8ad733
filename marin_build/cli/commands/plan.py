"""`marin-build plan`: what would be built, why, with what."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import budget_option, parse_budgets, pipeline_options
from marin_build.cli.terminal import echo
from marin_build.cli.views.warnings import show_warning
from marin_build.errors import EXIT_CHANGES_PENDING, EXIT_STOPPED, UsageError
from marin_build.operations.loading.options import PipelineOptions, command_line, words_of
from marin_build.operations.planning.planned import PlanRequest, refuse_assumptions
from marin_build.plan.plan_summary import RUN_VERBS, VERBS
from marin_build.workspace.places import refuse_url

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Literal

    from marin_build.emit.plan_rows import WaysOut
    from marin_build.operations.loading.config import OnDrift
    from marin_build.operations.planning.planned import Planned
    from marin_build.operations.saved_plans.plan_directory import SavedPlan
    from marin_build.plan.plan_summary import Verb

    Form = Literal["text", "json", "markdown"]

_ONLY = ("run", *VERBS)


@click.command("plan")
@click.argument("targets", nargs=-1)
@click.option("-o", "--output", metavar="DIR", help="Write the plan directory.")
@click.option("--sign", "key", metavar="KEY", help="With -o: sign the plan with an ssh key.")
@click.option("--force", metavar="TARGET", multiple=True, help="Build it even if it is built.")
@click.option(
    "--overwrite",
    metavar="TARGET",
    multiple=True,
    help="Build it even if that deletes foreign data at its output path.",
)
@click.option(
    "--assume-changed", metavar="TARGET", multiple=True, help="What if its identity had changed?"
)
@click.option("--assume-built", metavar="TARGET", multiple=True, help="What if it were built?")
@click.option(
    "-j", "--jobs", metavar="N", type=click.IntRange(min=1), help="Estimate for N targets at once."
)
@budget_option
@click.option("--no-rerun-failed", is_flag=True, help="Block targets that failed before.")
@click.option("--json", "form", flag_value="json", help="One JSON document.")
@click.option("--markdown", "form", flag_value="markdown", help="Markdown, for a review.")
@click.option(
    "--summary",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Also write it to FILE in Markdown, as the comment of a review.",
)
@click.option("--all", "show_all", is_flag=True, help="With --json: list pruned targets too.")
@click.option("-v", "--verbose", is_flag=True, help="Show every target, and where it is declared.")
@click.option(
    "--only",
    metavar="WORD",
    multiple=True,
    type=click.Choice(_ONLY),
    help=f"Show only lines of this kind: {', '.join(_ONLY)}.",
)
@click.option("--blast-radius", is_flag=True, help="Show how much each change reruns.")
@click.option(
    "--check-placement", is_flag=True, help="Fail if an identity depends on prefix or machines."
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there is something to build.")
@click.option(
    "--on-drift",
    type=click.Choice(("report", "fail")),
    help="With `fail` and --detailed-exitcode, exit 5 if a reused target drifted.",
)
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    output: str | None,
    key: str | None,
    force: tuple[str, ...],
    overwrite: tuple[str, ...],
    assume_changed: tuple[str, ...],
    assume_built: tuple[str, ...],
    budgets: tuple[str, ...],
    form: Form | None,
    only: tuple[str, ...],
    jobs: int | None,
    *,
    summary: str | None,
    on_drift: OnDrift | None,
    no_rerun_failed: bool,
    show_all: bool,
    verbose: bool,
    blast_radius: bool,
    check_placement: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what would be built and why; nothing is written to the store.

    TARGET is a step's name, a glob over names, +x (and all it needs), x+ (and all that need it),
    tag:T, status:failed|running|success|missing, drifted, or changed-since:REV. `a,b` is the union,
    `a&b` the intersection, `^c` all but c. Without TARGET: the targets that the pipeline requests.

    With --assume-changed and --assume-built the plan answers a question: it cannot be written or
    applied. Both may be given several times.
    """
    if output is not None:
        refuse_assumptions(assume_changed, assume_built)
    if summary is not None:
        refuse_url(summary, "a summary", "--summary plan.md")
    from marin_build.operations.planning.plan import load_to_plan, make_planned

    if key is not None and output is None:
        raise UsageError(
            "`--sign` signs a plan directory, and none is written",
            consequence="nothing was planned",
            hint="name one: -o plans/NAME",
        )
    if only and form == "json":
        raise UsageError(
            "`--only` chooses lines for people: JSON has every decision",
            consequence="nothing was planned",
            hint="choose by `decision`, or choose targets",
        )
    request = PlanRequest(
        targets,
        force,
        assume_changed,
        assume_built,
        rerun_failed=not no_rerun_failed,
        jobs=jobs,
        budgets=parse_budgets(budgets),
        overwrite=overwrite,
    )
    is_loaded = output is not None or check_placement
    loaded = load_to_plan(options, show_warning, request.named, with_functions=is_loaded)
    if verbose:
        from marin_build.cli.views.found_text import show_use

        show_use(loaded)
    if check_placement:
        from marin_build.operations.checks.check_placement import check_placement as check

        check(loaded, options)
        echo(f"placement: {len(loaded.targets)} identities are the same elsewhere", err=True)
    planned = make_planned(loaded, request, on_event=show_warning)
    flags = [("--force", force), ("--overwrite", overwrite), ("--budget", budgets)]
    words = [*targets, *words_of(*((flag, one) for flag, values in flags for one in values))]
    again, written = ("to build it", command_line("apply", options, words)), ""
    if output is not None:
        from marin_build.operations.saved_plans.plan_directory import save_plan

        saved = save_plan(planned, output, key)
        planned, written = saved.planned, _written(saved)
        label, command_words = saved.again
        again = label, shlex.join(command_words)
    ways_out: WaysOut = ()
    if form != "json" and planned.drift:
        from marin_build.operations.planning.drifted import selector_of, ways_out_of

        to_save = ("plan", ("-o", output)) if output is not None else ("apply", ())
        ids = [planned.plan.targets.all[index].id for index in planned.drift]
        which = selector_of(ids) if targets else "drifted"
        found = planned.drift.values()
        ways_out = ways_out_of(found, options, targets, which=which, again=to_save)
    _show(
        planned,
        again,
        ways_out,
        form or "text",
        [verb for verb in VERBS if verb in only or ("run" in only and verb in RUN_VERBS)],
        show_all=show_all,
        verbose=verbose,
        blast_radius=blast_radius,
        folder=output or "",
    )
    if output is not None and form is None:
        echo(written)
    if summary is not None:
        from marin_build.cli.output_file import write_output_file
        from marin_build.operations.ci.review import review_of

        write_output_file(summary, review_of(planned, again))
    if not detailed_exitcode:
        return 0
    if (on_drift or loaded.settings.on_drift) == "fail" and planned.drift:
        return EXIT_STOPPED
    pending = bool(planned.plan.to_build) or planned.plan.summary()["blocked"] > 0
    return EXIT_CHANGES_PENDING if pending else 0


def _written(saved: SavedPlan) -> str:
    from marin_build.emit.graph.saved_plan_page import MOST_TARGETS
    from marin_build.plan.document import PAGE_FILE

    written = f"written: {os.path.join(saved.folder, '')}"
    if not saved.has_page:
        written += f", without {PAGE_FILE}: there are more than {MOST_TARGETS:,} targets"
    return written


def _show(
    planned: Planned,
    again: tuple[str, str],
    ways_out: WaysOut,
    form: Form,
    only: Collection[Verb],
    *,
    show_all: bool,
    verbose: bool,
    blast_radius: bool,
    folder: str,
) -> None:
    """Print the plan in one of its forms."""
    radius = planned.radius if blast_radius else None
    if form == "json":
        from marin_build.emit.plan_json import plan_json

        document = planned.document(show_pruned=show_all)
        text = plan_json(document, planned.plan, planned.estimate, radius, planned.reads)
        echo(text, nl=False)
        return
    shown = planned.shown(again, verbose=verbose, only=only, folder=folder, ways_out=ways_out)
    if form == "markdown":
        from marin_build.emit.plan_text import plan_markdown, radius_markdown

        echo(plan_markdown(shown) + (radius_markdown(radius) if radius else ""), nl=False)
    elif sys.stdout.isatty():
        from marin_build.cli.views.plan_terminal import show_on_terminal

        show_on_terminal(shown, radius)
    else:
        from marin_build.emit.plan_text import plan_text, radius_text

        echo(plan_text(shown) + (radius_text(radius) if radius else ""), nl=False)
