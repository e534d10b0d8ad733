"""Dot, mermaid and json."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.drawing.picture import Node, Picture, State

FILLS: dict[State, tuple[str, str]] = {
    # Fill and border. Colour-blind people tell states by their words, in the page by shapes too.
    "built": ("#e6f4e9", "#1a7f37"),
    "to build": ("#e4f0fd", "#0a5fc4"),
    "stale": ("#fff3d1", "#8a5300"),
    "failed": ("#ffe6e5", "#b8222c"),
    "held": ("#f2eafd", "#7440c4"),
    "blocked": ("#e9ecef", "#515a63"),
}
_MERMAID_EDGES = 500


def titled(node: Node) -> str:
    """Return a node's name; of several targets, how many they are, too."""
    return node.name if node.targets == 1 else f"{node.name} ({node.targets})"


def as_dot(picture: Picture) -> str:
    """Return Graphviz' language."""
    lines = [
        "digraph pipeline {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
    ]
    for node in picture.nodes:
        fill, border = FILLS[node.state]
        label = _dot(f"{titled(node)}\n{node.state}")
        lines.append(f'  {_dot(node.id)} [label={label}, fillcolor="{fill}", color="{border}"];')
    lines += [
        f"  {_dot(picture.nodes[a].id)} -> {_dot(picture.nodes[b].id)};" for a, b in picture.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def as_mermaid(picture: Picture) -> str:
    """Return Mermaid's language.

    Raises:
        UsageError: more edges than Mermaid draws.

    """
    if len(picture.edges) > _MERMAID_EDGES:
        raise UsageError(
            f"mermaid draws at most {_MERMAID_EDGES} edges, and there are {len(picture.edges)}",
            hint="draw folders as one with --collapse 1, name some targets, or use --format html",
        )
    lines = ["flowchart LR"]
    for index, node in enumerate(picture.nodes):
        lines.append(f'  n{index}["{_mermaid(titled(node))}"]:::{node.state.replace(" ", "-")}')
    lines += [f"  n{a} --> n{b}" for a, b in picture.edges]
    for state in dict.fromkeys(node.state for node in picture.nodes):
        fill, border = FILLS[state]
        lines.append(
            f"  classDef {state.replace(' ', '-')} fill:{fill},stroke:{border},color:#1b1b1b"
        )
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./@ -]", lambda found: f"#{ord(found[0])};", text)


def as_json(picture: Picture) -> str:
    """Return `{"nodes": [{"id", "name", ...}], "edges": [{"source", "target"}]}`."""
    nodes = [
        {
            "id": n.id,
            "name": n.name,
            "state": n.state,
            "reason": n.reason,
            "tags": list(n.tags),
            "resources": n.resources or None,
            **({"targets": n.targets} if n.targets > 1 else {}),
        }
        for n in picture.nodes
    ]
    edges = [
        {"source": picture.nodes[a].id, "target": picture.nodes[b].id} for a, b in picture.edges
    ]
    return json.dumps({"schema_version": 1, "nodes": nodes, "edges": edges}, indent=1) + "\n"
