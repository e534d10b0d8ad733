"""From the document of a plan to a drawing of it, in any format."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.emit.graph.picture import picture_of
from marin_build.identity.canonical import FrozenDict
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
    """What of a plan is drawn, and how.

    Args:
        form: the format.
        states: draw these only; empty: all.
        depth: draw names that begin with so many equal parts as one; 0: each target by itself.
        few: leave out edges that other edges imply.

    """

    form: Format = "text"
    states: tuple[State, ...] = ()
    depth: int = 0
    few: bool = False


@dataclass(frozen=True, slots=True)
class Drawing:
    """What was drawn: as a value, and as the text of a format."""

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
    """Return the drawing of a plan: the same for the same values.

    Args:
        document: the plan.
        view: what of it is drawn, and how.
        templates: where the parts of `html` and `svg` come from.
        live: what a look at the pipeline and its store adds; None: the plan alone is drawn.
        commands: what a page says can be done with a target: a label, and a command line in parts,
            between which its id belongs.
        scripts: the addresses of the scripts that build targets, by id, for a page.
        redactor: knows the secrets; a page is cleaned of them.

    Raises:
        UsageError: the format cannot draw so much.
        SpecificationError: a template is missing or malformed.

    """
    picture = picture_of(document, live)
    if view.states:
        from marin_build.emit.graph.simplify import only_states

        picture = only_states(picture, view.states)
    if view.form == "html":  # which closes groups and leaves out edges itself, and opens them again
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
