"""`marin-build graph`: the pipeline as a picture, coloured by status."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from marin_build.cli.options import pipeline_options
from marin_build.errors import StoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Literal

    from marin_build.emit.graph.page import About, Details
    from marin_build.emit.graph.picture import Picture, State
    from marin_build.emit.templates import Templates
    from marin_build.operations.options import PipelineOptions
    from marin_build.redaction import Redactor

    Format = Literal["text", "html", "svg", "dot", "mermaid", "json"]

FORMATS = ("text", "html", "svg", "dot", "mermaid", "json")
_SUFFIXES: Mapping[str, Format] = {
    "": "text", ".txt": "text", ".html": "html", ".htm": "html", ".svg": "svg", ".dot": "dot",
    ".gv": "dot", ".mmd": "mermaid", ".json": "json",
}  # fmt: skip
STATES = ("built", "to-build", "stale", "failed", "held", "blocked")


@dataclass(frozen=True, slots=True)
class _Scene:
    """All that is drawn, and what with; the details only for a page."""

    picture: Picture
    about: About
    details: Sequence[Details]
    templates: Templates
    redactor: Redactor


@click.command("graph")
@click.argument("targets", nargs=-1)
@click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="What to write [default: by the name of the file, else text].",
)
@click.option("-o", "--output", metavar="FILE", help="Write it to a file.")
@click.option(
    "--status",
    metavar="WORD",
    multiple=True,
    type=click.Choice(STATES),
    help=f"Draw only: {', '.join(STATES)}.",
)
@click.option(
    "--collapse",
    metavar="DEPTH",
    type=click.IntRange(min=1),
    help="Draw names that begin with so many equal parts as one.",
)
@click.option("--reduce", is_flag=True, help="Leave out edges that other edges imply.")
@click.option(
    "--layout",
    type=click.Choice(("graphviz", "builtin")),
    help="Of svg [default: graphviz, where it is installed and quick].",
)
@click.option("--from-plan", "folder", metavar="DIR", help="Draw what a saved plan decided.")
@pipeline_options
def command(
    options: PipelineOptions,
    targets: tuple[str, ...],
    kind: Format | None,
    output: str | None,
    status: tuple[str, ...],
    collapse: int | None,
    layout: Literal["graphviz", "builtin"] | None,
    folder: str | None,
    *,
    reduce: bool,
) -> int:
    """Draw the pipeline and what became of each target.

    TARGET is as for `plan`; what the chosen targets need is drawn too. `html` is a page to look
    around in: one file, which a browser opens from a disk. `--status` may be given several times.
    """
    kind = kind or _by_name(output)
    if layout is not None and kind != "svg":
        raise UsageError("`--layout` is of svg", facts=[("format", kind)])
    states = [word.replace("-", " ") for word in status]
    if folder is not None:
        _check_nothing_else(options, targets)
        scene = _saved(folder, states, output, kind)
    else:
        scene = _planned(options, targets, states, kind)
    if kind == "html":
        scene = replace(scene, about=replace(scene.about, depth=collapse or 0, few=reduce))
    else:
        scene = replace(scene, picture=_simpler(scene.picture, collapse, reduce=reduce))
    if states and not scene.picture.nodes:
        click.echo(f"no target is {' or '.join(states)}", err=True)
    if kind == "text" and output is None:
        _print_tree(scene.picture)
        return 0
    _write(_render(scene, kind, layout), output)
    return 0


def _simpler(picture: Picture, collapse: int | None, *, reduce: bool) -> Picture:
    if collapse is not None:
        from marin_build.emit.graph.simplify import collapsed

        picture = collapsed(picture, collapse)
    if reduce:
        from marin_build.emit.graph.simplify import reduced

        picture = reduced(picture)
    return picture


def _by_name(output: str | None) -> Format:
    suffix = os.path.splitext(output)[1].lower() if output is not None else ""
    if suffix not in _SUFFIXES:
        raise UsageError(
            f"no format has the suffix of `{output}`",
            facts=[("formats", ", ".join(f"`{word}`" for word in _SUFFIXES if word))],
            consequence="nothing was written",
            hint="say which with --format",
        )
    return _SUFFIXES[suffix]


def _check_nothing_else(options: PipelineOptions, targets: tuple[str, ...]) -> None:
    """Refuse what a saved plan fixes."""
    if targets:
        raise UsageError("a saved plan is drawn whole: `--from-plan` takes no TARGET")
    from marin_build.operations.options import option_words

    given = [word for word in option_words(options) if word.startswith("-")]
    if given:
        names = ", ".join(f"`{word}`" for word in dict.fromkeys(given))
        raise UsageError(f"a saved plan fixes {names}", consequence="nothing was drawn")


def _planned(
    options: PipelineOptions, targets: tuple[str, ...], states: Collection[str], kind: Format
) -> _Scene:
    """Plan, and read what there is to draw."""
    from marin_build.emit.graph.page import About
    from marin_build.emit.templates import Templates
    from marin_build.operations.graph import describe_drawn, draw, secrets_of
    from marin_build.operations.loading import chosen_engine, load
    from marin_build.redaction import NOTHING_SECRET

    loaded = load(options)
    engine = chosen_engine(loaded, options)
    drawn = draw(loaded, targets, engine, _as_states(states))
    templates = Templates(loaded.workspace, loaded.settings.templates)
    if kind != "html":
        return _Scene(drawn.picture, About(title=loaded.file), (), templates, NOTHING_SECRET)
    about, details = describe_drawn(loaded, drawn, engine, options)
    return _Scene(drawn.picture, about, details, templates, secrets_of(loaded))


def _saved(folder: str, states: Collection[str], output: str | None, kind: Format) -> _Scene:
    """Read a saved plan; neither the pipeline nor the store is asked."""
    from marin_build.operations.graph import draw_saved
    from marin_build.redaction import Redactor

    start = os.path.dirname(os.path.abspath(output)) if output is not None else os.getcwd()
    found = draw_saved(folder, _as_states(states), start, with_details=kind == "html")
    return _Scene(*found, Redactor.of(os.environ))


def _as_states(words: Collection[str]) -> list[State]:
    from marin_build.emit.graph.picture import STATES as ALL

    return [state for state in ALL if state in words]


def _print_tree(picture: Picture) -> None:
    from marin_build.emit.graph.text_formats import COLOURS, as_text

    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line, state in as_text(picture, width):
        click.secho(line, fg=COLOURS[state])


def _render(scene: _Scene, kind: Format, layout: Literal["graphviz", "builtin"] | None) -> str:
    from marin_build.emit.graph import text_formats

    picture = scene.picture
    match kind:
        case "html":
            from marin_build.emit.graph.page import as_html

            return as_html(picture, scene.about, scene.details, scene.templates, scene.redactor)
        case "dot":
            return text_formats.as_dot(picture)
        case "mermaid":
            return text_formats.as_mermaid(picture)
        case "json":
            return text_formats.as_json(picture)
        case "svg":
            return _svg(picture, scene.templates, layout)
        case "text":
            from marin_build.emit.graph.text_formats import as_text

            return "".join(line + "\n" for line, _ in as_text(picture))


def _svg(
    picture: Picture, templates: Templates, layout: Literal["graphviz", "builtin"] | None
) -> str:
    from marin_build.emit.graph.svg import as_svg

    found = None
    if layout != "builtin":
        from marin_build.operations.graphviz import graphviz_layout, is_quick

        found = graphviz_layout(picture) if layout or is_quick(picture) else None
    if layout == "graphviz" and found is None and picture.nodes:
        raise UsageError(
            "Graphviz made no layout: `dot` is not installed, or too slow for so many boxes",
            hint="--layout builtin, or --collapse 1",
        )
    return as_svg(picture, templates, found)


def _write(text: str, output: str | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    try:
        os.makedirs(os.path.dirname(os.path.abspath(output)), exist_ok=True)
        with open(output, "w", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as error:
        raise StoreError(f"cannot write `{output}`: {error.strerror}") from error
