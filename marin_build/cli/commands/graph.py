"""`marin-build graph`: the pipeline as a picture, coloured by status."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import PipelineOptions, pipeline_options
from marin_build.errors import StoreError

if TYPE_CHECKING:
    from marin_build.cli.drawn import Drawn
    from marin_build.cli.session import Loaded

FORMATS = ("text", "html", "svg", "dot", "mermaid", "json")


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
    from marin_build.cli.drawn import draw
    from marin_build.cli.session import load

    loaded = load(options)
    drawn = draw(loaded, targets)
    if kind == "text" and output is None:
        from marin_build.drawing.formats import COLOURS, as_text

        for line, state in as_text(drawn.picture):
            click.secho(line, fg=COLOURS[state])
        return 0
    text = _render(drawn, kind, loaded, options)
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


def _render(drawn: Drawn, kind: str, loaded: Loaded, options: PipelineOptions) -> str:
    from marin_build.drawing import formats
    from marin_build.emit.templates import Templates

    picture = drawn.picture
    match kind:
        case "html":
            from marin_build.cli.drawn import describe_drawn
            from marin_build.drawing.page import as_html

            about, details = describe_drawn(loaded, drawn, options)
            templates = Templates(loaded.workspace, loaded.settings.templates)
            return as_html(picture, about, details, templates)
        case "dot":
            return formats.as_dot(picture)
        case "mermaid":
            return formats.as_mermaid(picture)
        case "json":
            return formats.as_json(picture)
        case "svg":
            from marin_build.drawing.svg import as_svg

            return as_svg(picture, Templates(loaded.workspace, loaded.settings.templates))
        case _:
            return "".join(line + "\n" for line, _ in formats.as_text(picture))
