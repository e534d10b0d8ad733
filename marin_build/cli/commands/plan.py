"""`marin-build plan`: what would be built, why, with what."""

from __future__ import annotations

import os
import sys

import click

from marin_build.cli.again import command_line
from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import EXIT_CHANGES_PENDING


@click.command("plan")
@click.argument("targets", nargs=-1)
@click.option("-o", "--output", metavar="DIR", help="Write the plan directory.")
@click.option("--force", metavar="TARGET", multiple=True, help="Build it although it is built.")
@click.option("--no-rerun-failed", is_flag=True, help="Refuse what failed before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--all", "show_all", is_flag=True, help="With --json: list pruned targets too.")
@click.option("-v", "--verbose", is_flag=True, help="Show reused targets and places.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if there is something to build.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    output: str | None,
    force: tuple[str, ...],
    *,
    no_rerun_failed: bool,
    as_json: bool,
    show_all: bool,
    verbose: bool,
    detailed_exitcode: bool,
) -> int:
    """Show what would be built and why; nothing is written to the store.

    TARGET is a step's name, a glob over names, +x (and all it needs), x+ (and all that need it),
    tag:T, status:failed|running|success|missing, or changed-since:REV. `a,b` is both, `a&b` what
    both select, `^c` all but c. Without any, what the pipeline requests.
    """
    from marin_build.cli.session import load, plan_for
    from marin_build.emit.plan_id import check_engine, plan_id

    loaded = load(options)
    engine = options.engine or loaded.settings.engine
    check_engine(engine)
    for warning in loaded.warnings():
        click.echo(f"warning: {warning}", err=True)
    plan = plan_for(loaded, targets, forced=force, rerun_failed=not no_rerun_failed, history=True)
    again = command_line(
        "apply", options, [*targets, *(word for name in force for word in ("--force", name))]
    )
    if output is not None:
        from marin_build.cli.plan_directory import write_plan_directory
        from marin_build.emit.directory import emit_plan

        files = emit_plan(
            plan,
            pipeline=loaded.file,
            parameters=loaded.pipeline.parameters,
            engine=engine,
            settings=loaded.settings.kubernetes,
            overrides=loaded.settings.templates,
        )
        write_plan_directory(output, files)
        again = f"marin-build apply {output}" if engine == "local" else f"see {output}/steps"
    if as_json:
        from marin_build.emit.document import plan_document

        document = plan_document(
            plan,
            pipeline=loaded.file,
            parameters=loaded.pipeline.parameters,
            engine=engine,
            pin_code=False,
            show_pruned=show_all,
        )
        sys.stdout.write(document.model_dump_json(exclude={"files", "digest"}, indent=1) + "\n")
    else:
        from marin_build.cli.drifting import drift_in
        from marin_build.cli.estimating import estimate_for
        from marin_build.cli.views.plan_text import show_plan

        name = plan_id(plan, loaded.file, loaded.pipeline.parameters, engine)
        estimate = estimate_for(loaded, plan, engine)
        drift = drift_in(loaded, plan)
        show_plan(plan, name, again, estimate, drift, verbose=verbose)
        if output is not None:
            click.echo(f"written: {os.path.join(output, '')}")
    pending = bool(plan.to_build) or plan.summary()["blocked"] > 0
    return EXIT_CHANGES_PENDING if detailed_exitcode and pending else 0
