"""`marin-build adopt`: register existing data as the output of a target."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.views.warnings import show_event
from marin_build.errors import UsageError
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from marin_build.operations.adopt import Registered
    from marin_build.operations.options import PipelineOptions
    from marin_build.pipeline.targets import Target


@click.command("adopt")
@click.argument("name")
@click.option("--from", "place", metavar="URL", help="Where the data lies [default: the output].")
@click.option("--reason", metavar="TEXT", help="Why; kept in the record.")
@click.option("--force", is_flag=True, help="Adopt what looks unfinished or damaged, or anew.")
@click.option("--no-lease", is_flag=True, help="Without a lease: nobody else builds there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@pipeline_options
def command(
    options: PipelineOptions,
    name: str,
    place: str | None,
    reason: str | None,
    *,
    force: bool,
    no_lease: bool,
    as_json: bool,
) -> int:
    """Register existing data as the output of a target that is not built.

    With --from the data stays where it is, and nothing is ever written or deleted there. Without,
    it lies at the target's output path already. NAME selects one target, as for `plan`.
    """
    from marin_build.operations.adopt import location_of, register
    from marin_build.operations.loading import load
    from marin_build.operations.plan import choose

    loaded = load(options)
    chosen = choose(loaded, [name])
    if len(chosen) != 1:
        raise UsageError(
            f"`{name}` stands for {len(chosen)} targets; one is adopted at a time",
            consequence="nothing was written",
        )
    target = loaded.targets.all[chosen[0]]
    location = location_of(target, place)
    if not is_url(location) and is_url(target.output_path):
        click.echo(f"warning: `{location}` is on this machine: no other can read it", err=True)
    found = register(
        loaded, chosen[0], location, reason, force=force, lease=not no_lease, on_event=show_event
    )
    _show(target, found, as_json=as_json)
    return 0


def _show(target: Target, found: Registered, *, as_json: bool) -> None:
    from marin_build.text import bytes_text

    record = found.record
    files, size, location = record.files, record.size, record.adopted_from
    if not as_json:
        many = f"{files} file{'s' if files != 1 else ''}"
        done = f"is adopted: {many} verified"
        if found.already:
            done = f"was adopted already: {many}"
        click.echo(f"`{target.id}` {done}, {bytes_text(size)}: {location}")
        return
    import json

    document = {
        "name": target.name,
        "target": target.id,
        "output_path": target.output_path,
        "location": location,
        "files": files,
        "bytes": size,
        "note": record.note,
        "run": record.run,
        "attempt": record.attempt,
        "already": found.already,
    }
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
