"""Text, dot, mermaid and json."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from marin_build.drawing.picture import Picture, State

SYMBOLS: dict[State, str] = {
    "built": "=",
    "to build": "+",
    "stale": "~",
    "failed": "!",
    "held": "?",
    "blocked": "x",
}
COLOURS: dict[State, str] = {
    "built": "green",
    "to build": "blue",
    "stale": "yellow",
    "failed": "red",
    "held": "cyan",
    "blocked": "magenta",
}
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


def as_text(picture: Picture) -> list[tuple[str, State]]:
    """Return a tree that begins at what nothing else needs; each line with its state.

    A target that was shown before is named again with `(above)`, without what it needs.
    """
    needs: list[list[int]] = [[] for _ in picture.nodes]
    needed = set()
    for source, target in picture.edges:
        needs[target].append(source)
        needed.add(source)
    lines: list[tuple[str, State]] = []
    seen: set[int] = set()
    roots = [i for i in range(len(picture.nodes)) if i not in needed]
    # A stack of (node, what stands before its name, what stands before its children).
    pending = [(root, "", "") for root in reversed(roots)]
    while pending:
        index, lead, below = pending.pop()
        node = picture.nodes[index]
        again = index in seen and bool(needs[index])
        suffix = " (above)" if again else ""
        lines.append((f"{lead}{SYMBOLS[node.state]} {node.id}{suffix}", node.state))
        if again:
            continue
        seen.add(index)
        children = needs[index]
        for position in range(len(children) - 1, -1, -1):
            last = position == len(children) - 1
            pending.append(
                (
                    children[position],
                    below + ("`-- " if last else "|-- "),
                    below + ("    " if last else "|   "),
                )
            )
    return lines


def as_dot(picture: Picture) -> str:
    """Return Graphviz' language."""
    lines = [
        "digraph pipeline {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
    ]
    for node in picture.nodes:
        fill, border = FILLS[node.state]
        label = _dot(f"{node.name}\n{node.state}")
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
            hint="name some targets, or use --format svg",
        )
    lines = ["flowchart LR"]
    for index, node in enumerate(picture.nodes):
        lines.append(f'  n{index}["{_mermaid(node.name)}"]:::{node.state.replace(" ", "-")}')
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
        }
        for n in picture.nodes
    ]
    edges = [
        {"source": picture.nodes[a].id, "target": picture.nodes[b].id} for a, b in picture.edges
    ]
    return json.dumps({"schema_version": 1, "nodes": nodes, "edges": edges}, indent=1) + "\n"
