"""`marin-build graph`: the pipeline as a picture, coloured by status."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.cli.output_file import write_output_file
from marin_build.cli.terminal import echo
from marin_build.emit.graph.drawing import FORMATS, View
from marin_build.emit.graph.picture import STATES
from marin_build.errors import UsageError
from marin_build.text.readable import visible
from marin_build.workspace.places import refuse_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.graph.drawing import Format
    from marin_build.emit.graph.picture import Picture, State
    from marin_build.operations.loading.options import PipelineOptions

_SUFFIXES: Mapping[str, Format] = {
    "": "text", ".txt": "text", ".html": "html", ".htm": "html", ".svg": "svg", ".dot": "dot",
    ".gv": "dot", ".mmd": "mermaid", ".json": "json",
}  # fmt: skip
_STATES: Mapping[str, State] = {state.replace(" ", "-"): state for state in STATES}


@click.command("graph")
@click.argument("targets", nargs=-1)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="The format [default: by the suffix of the file, else text].",
)
@click.option("-o", "--output", metavar="FILE", help="Write it to a file.")
@click.option(
    "--status",
    metavar="WORD",
    multiple=True,
    type=click.Choice(list(_STATES)),
    help=f"Draw only targets in this state: {', '.join(_STATES)}.",
)
@click.option(
    "--collapse",
    metavar="DEPTH",
    type=click.IntRange(min=1),
    help="Draw names whose first DEPTH parts are equal as one.",
)
@click.option("--reduce", is_flag=True, help="Leave out edges that other edges imply.")
@click.option("--from-plan", "folder", metavar="DIR", help="Draw a saved plan.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    kind: Format | None,
    output: str | None,
    status: tuple[str, ...],
    collapse: int | None,
    folder: str | None,
    *,
    reduce: bool,
) -> int:
    """Draw the pipeline and the state of each target.

    TARGET is as for `plan`; the targets that the chosen ones need are drawn, too. `html` is a page
    to explore: one file, which a browser opens from a disk. `--status` may be given several times.
    """
    from marin_build.operations.pages.graph import draw_pipeline, draw_saved_plan

    if output is not None:
        refuse_url(output, "a picture", "-o graph.svg")
    kind = kind or _by_name(output)
    states = tuple(state for word, state in _STATES.items() if word in status)
    view = View(kind, states, collapse or 0, reduce)
    if folder is not None:
        _check_nothing_else(options, targets)
        start = os.path.dirname(os.path.abspath(output)) if output is not None else None
        drawing = draw_saved_plan(folder, view, start=start)
    else:
        from marin_build.operations.loading.kept_analysis import load_to_read

        loaded = load_to_read(options, needed=targets)
        drawing = draw_pipeline(loaded, targets, view, options=options)
    if states and not drawing.picture.nodes:
        words = " or ".join(word.replace("-", " ") for word in status)
        echo(f"no target is {words}", err=True)
    if kind == "text" and output is None:
        _print_tree(drawing.picture)
    elif output is None:
        sys.stdout.write(visible(drawing.text) if sys.stdout.isatty() else drawing.text)
    else:
        write_output_file(output, drawing.text)
        echo(f"written: {output}", err=True)
    return 0


def _by_name(output: str | None) -> Format:
    suffix = os.path.splitext(output)[1].lower() if output is not None else ""
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"no format has the suffix of `{output}`",
            facts=[("formats", ", ".join(f"`{word}`" for word in _SUFFIXES if word))],
            consequence="nothing was written",
            hint="choose one with --format",
        )
    return _SUFFIXES[suffix]


def _check_nothing_else(options: PipelineOptions, targets: tuple[str, ...]) -> None:
    """Refuse targets and options that a saved plan fixes."""
    if targets:
        raise UsageError("a saved plan is drawn whole: `--from-plan` takes no TARGET")
    from marin_build.operations.loading.options import given_options

    given = dict(given_options(options))
    if given:
        names = ", ".join(f"`{name}`" for name in given)
        raise UsageError(f"a saved plan fixes {names}", consequence="nothing was drawn")


def _print_tree(picture: Picture) -> None:
    from marin_build.emit.graph.text_formats import COLOURS, SYMBOLS, as_text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = as_text(picture, width)
    for line, state in lines:
        echo(line, fg=COLOURS[state])
    if lines and sys.stdout.isatty():
        shown = {state for _, state in lines}
        signs = ", ".join(f"{sign} {state}" for state, sign in SYMBOLS.items() if state in shown)
        echo(f"{signs}; -o graph.html draws a page to explore", fg="bright_black", err=True)
