"""`marin-build ci`: workflows of CI systems, and what their jobs ask."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.terminal import echo
from marin_build.errors import EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.emit.ci_workflow import CiOptions, System
    from marin_build.operations.loading.options import PipelineOptions


@click.group("ci")
def command() -> None:
    """Build in continuous integration."""


@command.command("affected")
@click.option(
    "--base",
    metavar="REV",
    required=True,
    help="What the change is compared with: the newest commit that REV and HEAD both come from. "
    "`main...HEAD` says the same.",
)
@click.option("--no-fetch", is_flag=True, help="Never fetch commits that a shallow clone lacks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def affected(options: PipelineOptions, base: str, *, no_fetch: bool, as_json: bool) -> int:
    """Print the targets that a change reaches, one a line, dependencies first.

    It compares identities and code digests, contents of inputs included, and not names of files: a
    new comment reaches nothing, and a helper that is imported reaches what calls it. What needs a
    reached target is reached, too. No store is opened, unless the pipeline has expansions: then
    the statuses of what they wait for are read.
    """
    from marin_build.operations.ci.affected import affected_targets
    from marin_build.text.readable import printable

    found = affected_targets(options, base, fetches=not no_fetch)
    for note in found.notes:
        echo(f"note: {note}", err=True)
    if as_json:
        document = {
            "schema_version": 1,
            "base": found.base,
            "targets": [
                {"name": t.name, "target": t.target, "declared": t.declared, "why": t.why}
                for t in found.targets
            ],
            "vanished": list(found.vanished),
            "same": found.same,
        }
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return EXIT_OK
    for target in found.targets:
        echo(printable(target.target))
    vanished = f", {len(found.vanished)} vanished" if found.vanished else ""
    echo(
        f"{len(found.targets)} of {len(found.targets) + found.same} targets differ from "
        f"{found.base[:12]}{vanished}",
        err=True,
    )
    return EXIT_OK


def _workflow_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every workflow has."""
    for option in reversed(_WORKFLOW):
        function = option(function)
    return function


_WORKFLOW = (
    click.option(
        "--branch", default="main", show_default=True, help="The branch whose pushes are applied."
    ),
    click.option(
        "--environment",
        default="production",
        show_default=True,
        help="The deployment environment, whose rules may ask for approval; empty: none.",
    ),
    click.option(
        "--install",
        default="pip install --editable .",
        show_default=True,
        help="The command that installs the project and marin-build.",
    ),
    click.option("--python", default="3.12", show_default=True, help="The version of Python."),
    click.option(
        "--timeout",
        type=click.IntRange(min=1),
        default=360,
        show_default=True,
        help="Minutes that a build may take.",
    ),
    click.option("--stdout", is_flag=True, help="Print it, and write no file."),
)


@command.command("github")
@_workflow_options
@click.option(
    "--cron",
    default="17 3 * * *",
    show_default=True,
    help="When outputs are checked for drift; empty: never.",
)
@click.option(
    "--cache", metavar="FOLDER", help="Keep this folder of outputs from run to run, in CI's cache."
)
@click.option("--gcp-provider", metavar="NAME", help="Log in with this workload identity provider.")
@click.option("--aws-region", metavar="REGION", help="Log in to AWS in this region.")
@click.option("--plan-account", metavar="NAME", help="Service account, or role, of plans.")
@click.option("--apply-account", metavar="NAME", help="Service account, or role, of builds.")
@pipeline_options
def github(options: PipelineOptions, *, stdout: bool, **wanted: str | int | None) -> int:
    """Write a workflow of GitHub Actions: plan pull requests, apply what was reviewed.

    A pull request gets one comment: what would run, why, and for how much. A push to the branch
    applies the plan that was reviewed, if it still holds. Each night an issue says whether outputs
    are missing or were built by other code. Options of the pipeline become part of the commands.
    """
    return _write("github", options, stdout=stdout, wanted=wanted)


@command.command("gitlab")
@_workflow_options
@pipeline_options
def gitlab(options: PipelineOptions, *, stdout: bool, **wanted: str | int | None) -> int:
    """Write a pipeline of GitLab CI: plan merge requests, apply what was reviewed.

    Include it in your .gitlab-ci.yml: `include: .gitlab/marin-build.yml`.
    """
    return _write("gitlab", options, stdout=stdout, wanted=wanted)


def _write(
    system: System, options: PipelineOptions, *, stdout: bool, wanted: dict[str, str | int | None]
) -> int:
    from marin_build.emit.ci_workflow import CiOptions
    from marin_build.operations.ci.write_ci import ci_text

    given = {name: value or None for name, value in wanted.items()}
    chosen = CiOptions(**given)  # type: ignore[arg-type]
    if stdout:
        echo(ci_text(system, chosen, options), nl=False)
    else:
        write_workflow(system, chosen, options)
    return EXIT_OK


def write_workflow(system: System, chosen: CiOptions, options: PipelineOptions) -> None:
    """Write a workflow into the checkout of a pipeline, and say what it still lacks."""
    from marin_build.cli.output_file import write_output_file
    from marin_build.operations.ci.write_ci import ci_place, ci_text, is_out_of_reach

    text = ci_text(system, chosen, options)
    place = ci_place(system, text, options.folder)
    write_output_file(place, text)
    echo(f"written: {os.path.relpath(place)}")
    if is_out_of_reach(chosen, options):
        cache = ", or give --cache .marin-build/outputs" if system == "github" else ""
        echo(
            "note: each job has a new disk, so outputs in this folder are built again each time: "
            f"set `prefix` to a bucket{cache}",
            err=True,
        )
