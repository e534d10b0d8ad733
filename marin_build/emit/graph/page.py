"""The HTML page of a graph: one file without external parts, which a browser opens from a disk.

`templates/graph/` holds its template, style sheet and scripts. The scripts lay out the open groups.
The data is JSON in a block that browsers do not run, and the scripts insert its texts as text only.
The Content-Security-Policy of the page allows exactly these scripts, and no network.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from marin_build.emit.graph.details import Details
from marin_build.emit.graph.picture import STATES
from marin_build.emit.page_policy import page_policy
from marin_build.plan.difference_text import cut_apart
from marin_build.redaction import NOTHING_SECRET
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.graph.details import About
    from marin_build.emit.graph.picture import Node, Picture
    from marin_build.emit.templates import Templates
    from marin_build.plan.reasons import Change
    from marin_build.redaction import Redactor


SCHEMA_VERSION = 1
_LIBRARY = "graph/vendor/dagre.min.js"
_SCRIPTS = (
    "elements", "model", "groups", "boxes", "opening", "placing", "finding", "fragment", "drawing",
    "viewport", "panel", "lighting", "unfolding", "selecting", "address", "search_box", "controls",
    "hands", "page",
)  # fmt: skip
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


_NOTHING_KNOWN = Details()


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
    data = page_data(picture, about, details)
    style = page_style(templates)
    script = page_script(templates)
    return templates.render(
        "graph/page.html.j2",
        title=printable(redactor.clean_text(about.title)),
        summary=printable(redactor.clean_text(about.summary)),
        policy=page_policy(scripts=[script], styles=[style]),
        style=style,
        script=script,
        data=redactor.clean_values(data),
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
    head = f"/* dagre, https://github.com/dagrejs/dagre\n{licence} */\n"
    return f'{head}{library}\n(() => {{\n"use strict";\n{ours}}})();\n'


def page_data(picture: Picture, about: About, details: Sequence[Details]) -> dict[str, Any]:
    """Return the data that the scripts read: JSON values, without empty ones to save space."""
    needs: list[list[int]] = [[] for _ in picture.nodes]
    for source, target in picture.edges:
        needs[target].append(source)
    reasons: dict[str, int] = {}
    place = {node.id: index for index, node in enumerate(picture.nodes)}
    known = details or [_NOTHING_KNOWN] * len(picture.nodes)
    nodes = [
        _node(node, deps, reasons.setdefault(node.reason, len(reasons)), more)
        for node, deps, more in zip(picture.nodes, needs, known, strict=True)
    ]
    return {
        "schema_version": SCHEMA_VERSION,
        "states": list(STATES),
        "engine": about.engine,
        "prefix": about.prefix,
        "link": about.prefix_link,
        "commands": [[label, list(parts)] for label, parts in about.commands],
        "path": [place[target] for target in about.path if target in place],
        "path_text": about.path_text,
        "depth": about.depth,
        "few": about.few,
        "texts": list(reasons),
        "nodes": nodes,
    }


def _node(node: Node, deps: list[int], why: int, more: Details) -> dict[str, Any]:
    quoted, now = shlex.quote(node.id), more.now
    found: dict[str, Any] = {
        "id": node.id,
        "name": node.name,
        "state": STATES.index(node.state),
        "why": why,
        "kind": "command" if node.is_command else "function",
    }
    extra = {
        "deps": deps,
        "word": quoted if quoted != node.id else "",
        "tags": list(node.tags),
        "on": node.resources,
        "about": now.description,
        "declared": more.declared,
        "fingerprint": more.fingerprint,
        "attrs": dict(more.attributes),
        "inputs": dict(more.inputs),
        "output": more.output,
        "link": more.link,
        "script": more.script,
        "changes": [_change(change) for change in more.changes],
        "since": more.since,
        "drift": now.drift,
        "builds": now.builds,
        "log": list(now.log),
        "log_of": now.log_of,
    }
    found |= {key: value for key, value in extra.items() if value}
    amounts = {"seconds": now.seconds, "cost": now.cost, "took": now.took}
    return found | {key: round(value, 3) for key, value in amounts.items() if value is not None}


def _change(change: Change) -> dict[str, Any]:
    old, new = cut_apart(change.old, change.new)
    values = {"old": old, "new": new, "because": change.because or None}
    return {"path": change.path} | {
        key: value for key, value in values.items() if value is not None
    }
