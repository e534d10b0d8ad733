"""The HTML page of a graph: one file without external parts, which a browser opens from a disk.

`templates/graph/` holds its template, style sheet and scripts. The scripts lay out the open groups.
The data is JSON in a block that browsers do not run, and the scripts insert its texts as text only.
The Content-Security-Policy of the page allows exactly these scripts, and no network.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.emit.graph.page_data import page_data
from marin_build.emit.page_policy import page_policy
from marin_build.redaction import NOTHING_SECRET
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.details import About, Details
    from marin_build.emit.graph.picture import Picture
    from marin_build.emit.templates import Templates
    from marin_build.redaction import Redactor


_LIBRARY = "graph/vendor/dagre.min.js"
_SCRIPTS = (
    "elements", "columns", "nodes", "model", "groups", "boxes", "opening", "placing", "finding",
    "fragment", "drawing", "viewport", "panel", "lighting", "unfolding", "selecting", "address",
    "search_box", "controls", "hands", "page",
)  # fmt: skip
_COMMENT_LINE = re.compile(r"^ *//.*\n", re.MULTILINE)
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def as_html(
    picture: Picture,
    about: About,
    details: Sequence[Details],
    templates: Templates,
    redactor: Redactor = NOTHING_SECRET,
) -> str:
    """Return the page.

    Args:
        picture: nodes and edges.
        about: the facts about the whole plan.
        details: the facts about each node, in the order of the nodes; empty: there are none.
        templates: the templates of the page's parts.
        redactor: removes secrets from all texts of the page.

    Raises:
        SpecificationError: a part is missing, or a template is malformed.

    """
    data = page_data(picture, about, details, redactor)
    style = page_style(templates)
    script = page_script(templates)
    return templates.render(
        "graph/page.html.j2",
        title=printable(redactor.clean_text(about.title)),
        summary=printable(redactor.clean_text(about.summary)),
        policy=page_policy(scripts=[script], styles=[style]),
        style=style,
        script=script,
        data=data,
    )


def page_style(templates: Templates) -> str:
    """Return the style of the page."""
    return templates.text("colours.css") + templates.text("graph/page.css")


def page_script(templates: Templates, more: Sequence[str] = ()) -> str:
    """Return all scripts of the page as one; the library is the first.

    Args:
        templates: hold them.
        more: further scripts for a page that changes while it is open, before the last one.

    """
    library = _SOURCE_MAP.sub("", templates.text(_LIBRARY)).strip()
    licence = " ".join(templates.text("graph/vendor/dagre.LICENSE").split()).replace("*/", "* /")
    *before, last = (f"graph/{name}" for name in _SCRIPTS)
    ours = "\n".join(templates.text(f"{name}.js") for name in (*before, *more, last))
    ours = _COMMENT_LINE.sub("", ours)  # no page needs to hold them
    head = f"/* dagre, https://github.com/dagrejs/dagre\n{licence} */\n"
    return f'{head}{library}\n(() => {{\n"use strict";\n{ours}}})();\n'
