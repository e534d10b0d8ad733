"""`marin-build migrate`: an experiment of Marin in the words of marin-build."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import EXIT_OK, EXIT_TARGET_FAILED, UsageError

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions


@click.command("migrate")
@click.argument("experiment", required=False)
@click.option("--write", is_flag=True, help="Write the new form: EXPERIMENT_native.py.")
@click.option("--in-place", is_flag=True, help="With --write: over the experiment itself.")
@click.option(
    "--step",
    "steps",
    metavar="NAME",
    multiple=True,
    help="Move this step only; may be given several times.",
)
@pipeline_options
def command(
    options: PipelineOptions,
    experiment: str | None,
    steps: tuple[str, ...],
    *,
    write: bool,
    in_place: bool,
) -> int:
    """Show an experiment of Marin in the words of marin-build, as far as it is simple enough.

    What cannot be moved is listed with the reason, and stays as it is. Both forms are planned: the
    new one is written only if all targets keep their output paths, and nothing would be built
    anew. Else the exit code is 1.
    """
    from marin_build.cli.views.migrate_text import show_migration
    from marin_build.operations.checks.migrate import migrate

    if experiment is not None:
        if options.file is not None:
            raise UsageError("the experiment is named twice, by -f and without it")
        options = replace(options, file=experiment)
    if in_place and not write:
        raise UsageError("--in-place says where --write writes", hint="add --write")
    migration = migrate(options, write=write, in_place=in_place, only=steps)
    show_migration(migration)
    return EXIT_OK if migration.holds else EXIT_TARGET_FAILED
