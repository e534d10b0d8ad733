"""The page: one file with everything in it, that a browser opens from a disk.

`templates/graph/` holds its template, its style and its scripts; the layout is made in the page,
of what is open there. Data is JSON in a block that no browser runs; the scripts put every text of
it in as text. The page's own policy allows these very scripts, and no network.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from marin_build.emit.graph.picture import STATES
from marin_build.identity.canonical import FrozenDict
from marin_build.redaction import NOTHING_SECRET
from marin_build.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.emit.graph.picture import Node, Picture
    from marin_build.emit.templates import Templates
    from marin_build.plan.reasons import Change
    from marin_build.redaction import Redactor


SCHEMA_VERSION = 1
_LIBRARY = "graph/vendor/dagre.min.js"
_SCRIPTS = (
    "model", "groups", "boxes", "opening", "placing", "finding", "fragment", "drawing", "viewport",
    "panel", "lighting", "unfolding", "selecting", "address", "search_box", "controls", "hands",
    "page",
)  # fmt: skip
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is known of one node; everything may be missing.

    Args:
        fingerprint: 64 hex digits.
        description, declared: the author's, and `file:line`.
        attributes: JSON values.
        inputs: logical name of a source -> digest.
        output: its path or URL; empty where it is `PREFIX/ID`.
        link: where a browser finds the output: `https://` or `file://`.
        script: the address of the script that builds it, relative to the page.
        changes, since: what differs from the nearest earlier build, and that build.
        drift: how code or environment differ from those that built it, in words.
        seconds, builds: how long building it may take, and of how many builds that is the median.
        cost: US dollars.
        took: how long it took, in seconds.
        log, log_of: the last lines of a log, and which one it is.

    """

    fingerprint: str = ""
    description: str = ""
    declared: str = ""
    attributes: Mapping[str, Any] = FrozenDict()
    inputs: Mapping[str, str] = FrozenDict()
    output: str = ""
    link: str = ""
    script: str = ""
    changes: tuple[Change, ...] = ()
    since: str = ""
    drift: str = ""
    seconds: float | None = None
    builds: int = 0
    cost: float | None = None
    took: float | None = None
    log: tuple[str, ...] = ()
    log_of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a page says of the whole pipeline.

    Args:
        title: what was drawn.
        summary: the plan in one line.
        engine: where steps with resources are built.
        prefix, prefix_link: where outputs lie, and where a browser finds that; may be empty.
        commands: what can be done with a target: a label, and a command line in parts, between
            which its id belongs.
        path: the nodes of the chain that takes longest, the first one first.
        path_text: how long that takes, in words.
        depth: groups of so many parts of a name are closed at first, those above them open; 0:
            what is to be done decides.
        few: whether edges that others imply are left out at first.

    """

    title: str
    summary: str = ""
    engine: str = ""
    prefix: str = ""
    prefix_link: str = ""
    commands: tuple[tuple[str, tuple[str, ...]], ...] = ()
    path: tuple[int, ...] = ()
    path_text: str = ""
    depth: int = 0
    few: bool = False


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
        about: what is said of the whole.
        details: of each node, in their order; empty: nothing more is known of any.
        templates: where the page's parts come from.
        redactor: knows the secrets; whatever the page says is cleaned of them.

    Raises:
        SpecificationError: a part is missing, or a template is malformed.

    """
    data = page_data(picture, about, details)
    style = templates.text("graph/page.css")
    script = page_script(templates)
    return templates.render(
        "graph/page.html.j2",
        title=printable(redactor.clean_text(about.title)),
        summary=printable(redactor.clean_text(about.summary)),
        policy=_policy(script, style),
        style=style,
        script=script,
        data=_cleaned(data, redactor) if redactor.secrets else data,
    )


def _cleaned(value: Any, redactor: Redactor) -> Any:
    """Return a JSON value without the secrets in its texts."""
    match value:
        case str():
            return redactor.clean_text(value)
        case dict():
            return {
                redactor.clean_text(key): _cleaned(item, redactor) for key, item in value.items()
            }
        case list():
            return [_cleaned(item, redactor) for item in value]
    return value


def page_script(templates: Templates) -> str:
    """Return all scripts of the page as one; the library is the first."""
    library = _SOURCE_MAP.sub("", templates.text(_LIBRARY)).strip()
    licence = " ".join(templates.text("graph/vendor/dagre.LICENSE").split()).replace("*/", "* /")
    ours = "\n".join(templates.text(f"graph/{name}.js") for name in _SCRIPTS)
    head = f"/* dagre, https://github.com/dagrejs/dagre\n{licence} */\n"
    return f'{head}{library}\n(() => {{\n"use strict";\n{ours}}})();\n'


def _policy(script: str, style: str) -> str:
    """Return a Content-Security-Policy that allows this script and this style, and nothing else."""

    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    return (
        f"default-src 'none'; script-src 'sha256-{digest(script)}'; "
        f"style-src 'sha256-{digest(style)}'; base-uri 'none'; form-action 'none'"
    )


def page_data(picture: Picture, about: About, details: Sequence[Details]) -> dict[str, Any]:
    """Return what the scripts read: JSON values. What is empty is left out: there may be 20,000."""
    needs: list[list[int]] = [[] for _ in picture.nodes]
    for source, target in picture.edges:
        needs[target].append(source)
    reasons: dict[str, int] = {}
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
        "path": list(about.path),
        "path_text": about.path_text,
        "depth": about.depth,
        "few": about.few,
        "texts": list(reasons),
        "nodes": nodes,
    }


def _node(node: Node, deps: list[int], why: int, more: Details) -> dict[str, Any]:
    quoted = shlex.quote(node.id)
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
        "about": more.description,
        "declared": more.declared,
        "fingerprint": more.fingerprint,
        "attrs": dict(more.attributes),
        "inputs": dict(more.inputs),
        "output": more.output,
        "link": more.link,
        "script": more.script,
        "changes": [_change(change) for change in more.changes],
        "since": more.since,
        "drift": more.drift,
        "builds": more.builds,
        "log": list(more.log),
        "log_of": more.log_of,
    }
    found |= {key: value for key, value in extra.items() if value}
    amounts = {"seconds": more.seconds, "cost": more.cost, "took": more.took}
    return found | {key: round(value, 3) for key, value in amounts.items() if value is not None}


def _change(change: Change) -> dict[str, Any]:
    values = {"old": change.old, "new": change.new, "because": change.because or None}
    return {"path": change.path} | {
        key: value for key, value in values.items() if value is not None
    }


def shown_attributes(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the author gave: attributes, and the command or what was bound to parameters."""
    bound = {f"bind.{key}": value for key, value in (payload.get("bind") or {}).items()}
    match payload.get("command"):
        case {"shell": text}:
            command = {"command": text}
        case {"argv": words}:
            command = {"command": shlex.join(words)}
        case _:
            command = {}
    return {**payload["attrs"], **bound, **command}


def browser_address(url: str) -> str:
    """Return where a browser finds an object of a bucket; empty where it cannot."""
    if url.startswith("gs://"):
        return "https://console.cloud.google.com/storage/browser/" + quote(url[5:])
    return ""
