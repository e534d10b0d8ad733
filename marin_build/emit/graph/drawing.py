"""From the document of a plan to a drawing of it, in any format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.emit.graph.picture import picture_of
from marin_build.identity.canonical import FrozenDict
from marin_build.quick_dataclass import dataclass
from marin_build.redaction import NOTHING_SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.graph.details import Commands
    from marin_build.emit.graph.live import Live
    from marin_build.emit.graph.picture import Picture, State
    from marin_build.emit.templates import Templates
    from marin_build.plan.document import PlanDocument
    from marin_build.redaction import Redactor


Format = Literal["text", "html", "svg", "dot", "mermaid", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class View:
    """Which part of a plan is drawn, and how.

    Args:
        form: the format.
        states: draw only targets in these states; empty: all.
        depth: draw names whose first `depth` parts are equal as one node; 0: each target alone.
        few: whether to leave out edges that other edges imply.

    """

    form: Format = "text"
    states: tuple[State, ...] = ()
    depth: int = 0
    few: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing: the picture as a value, and its text in a format."""

    picture: Picture
    text: str


def draw(
    document: PlanDocument,
    view: View,
    templates: Templates,
    *,
    live: Live | None = None,
    commands: Commands = (),
    scripts: Mapping[str, str] = FrozenDict(),
    redactor: Redactor = NOTHING_SECRET,
) -> Drawing:
    """Return the drawing of a plan; equal arguments give equal bytes.

    Args:
        document: the plan.
        view: which part of it is drawn, and how.
        templates: the templates of `html` and `svg`.
        live: facts of the pipeline and its store; None: the plan alone is drawn.
        commands: commands for a target that a page shows: each a label, and a command line in
            parts, between which the target's id belongs.
        scripts: the addresses of the scripts that build targets, by id, for a page.
        redactor: removes secrets from a page.

    Raises:
        UsageError: the picture is too large for the format.
        SpecificationError: a template is missing or malformed.

    """
    picture = picture_of(document, live)
    if view.states:
        from marin_build.emit.graph.simplify import only_states

        picture = only_states(picture, view.states)
    if view.form == "html":  # the page closes groups and hides edges itself
        from marin_build.emit.graph.details import about_plan, details_of
        from marin_build.emit.graph.page import as_html

        about = replace(about_plan(document, live, commands), depth=view.depth, few=view.few)
        details = details_of(document, picture, live, scripts)
        return Drawing(picture, as_html(picture, about, details, templates, redactor))
    picture = _simpler(picture, view)
    return Drawing(picture, _text(picture, view.form, templates))


def _simpler(picture: Picture, view: View) -> Picture:
    if view.depth:
        from marin_build.emit.graph.simplify import collapsed

        picture = collapsed(picture, view.depth)
    if view.few:
        from marin_build.emit.graph.simplify import reduced

        picture = reduced(picture)
    return picture


def _text(
    picture: Picture, form: Literal["text", "svg", "dot", "mermaid", "json"], templates: Templates
) -> str:
    from marin_build.emit.graph import text_formats

    match form:
        case "text":
            return "".join(line + "\n" for line, _ in text_formats.as_text(picture))
        case "dot":
            return text_formats.as_dot(picture)
        case "mermaid":
            return text_formats.as_mermaid(picture)
        case "json":
            return text_formats.as_json(picture)
        case "svg":
            from marin_build.emit.graph.svg import as_svg

            return as_svg(picture, templates)
