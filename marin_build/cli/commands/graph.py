"""`marin-build graph`: the pipeline as a picture, coloured by status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import StoreError

if TYPE_CHECKING:
    from marin_build.cli.session import Loaded
    from marin_build.drawing.picture import Picture

FORMATS = ("text", "dot", "mermaid", "svg", "json")


@click.command("graph")
@click.argument("targets", nargs=-1)
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Write it to a file.")
@pipeline_options
def command(
    options: PipelineOptions, targets: tuple[str, ...], kind: str, output: str | None
) -> int:
    """Draw the pipeline and what became of each target.

    TARGET is as for `plan`; what the chosen targets need is drawn too.
    """
    from marin_build.cli.session import load

    loaded = load(options)
    picture = _picture(loaded, targets)
    if kind == "text" and output is None:
        from marin_build.drawing.formats import COLOURS, as_text

        for line, state in as_text(picture):
            click.secho(line, fg=COLOURS[state])
        return 0
    text = _render(picture, kind, loaded)
    if output is None:
        sys.stdout.write(text)
        return 0
    try:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        with open(output, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise StoreError(f"cannot write `{output}`: {error.strerror}") from error
    return 0


def _picture(loaded: Loaded, selectors: tuple[str, ...]) -> Picture:
    """Plan, and read the statuses of what planning did not need to read."""
    from marin_build.analysis import upstream
    from marin_build.cli.session import plan_for
    from marin_build.drawing.picture import picture_of
    from marin_build.protocol.layout import STATUS
    from marin_build.protocol.status import parse_status

    plan = plan_for(loaded, selectors)
    shown = upstream(loaded.targets, plan.requested)
    unread = sorted(shown - {decision.index for decision in plan.decisions})
    paths = [f"{loaded.targets.all[i].output_path}/{STATUS}" for i in unread]
    read = loaded.store.get_many(paths)
    statuses = {
        i: parse_status(blob.data, path) if blob is not None else None
        for i, path, blob in zip(unread, paths, read, strict=True)
    }
    return picture_of(plan, shown, statuses)


def _render(picture: Picture, kind: str, loaded: Loaded) -> str:
    from marin_build.drawing import formats

    match kind:
        case "dot":
            return formats.as_dot(picture)
        case "mermaid":
            return formats.as_mermaid(picture)
        case "json":
            return formats.as_json(picture)
        case "svg":
            from marin_build.drawing.svg import as_svg
            from marin_build.emit.templates import Templates

            return as_svg(picture, Templates(loaded.workspace, loaded.settings.templates))
        case _:
            return "".join(line + "\n" for line, _ in formats.as_text(picture))
