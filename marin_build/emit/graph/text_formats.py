"""The picture as text: a tree, dot, mermaid and json."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.emit.graph.picture import Node, Picture, State


SYMBOLS: dict[State, str] = {
    "built": "=",
    "to build": "+",
    "stale": "~",
    "failed": "!",
    "held": "?",
    "blocked": "x",
    "later": "?",
}
COLOURS: dict[State, str] = {
    "built": "green",
    "to build": "blue",
    "stale": "yellow",
    "failed": "red",
    "held": "cyan",
    "blocked": "magenta",
    "later": "cyan",
}
_MOST_LINES = 50
"""A tree with more lines is too long to read: similar neighbours become one line."""
_LONGEST = 10_000
"""Lines of the longest tree; what is left out is counted."""
_DEEPEST_LEAD = 120
"""Characters before a line; those of a deeper one lose their beginning, so that a long chain does
not make each line longer than the one above it."""
_FEWEST_FOLDED = 3
_LEAST_LEAD = 8
"""A branch before a line is cut down to so many characters before the line itself is cut."""
_NUMBER = re.compile(r"\d+")


class _Line(NamedTuple):
    """The nodes of one line: one node, or several similar ones."""

    members: tuple[int, ...]
    label: str


def as_text(picture: Picture, width: int | None = None) -> list[tuple[str, State]]:
    """Return the lines of a tree, each with its state; targets that no other needs are the roots.

    A target that has a line already is named again with `(above)`, without its dependencies. If
    there are too many lines, neighbours whose names differ in numbers only become one line; then
    neighbours of one folder do.

    Args:
        picture: nodes and edges.
        width: the most characters of a line; None: no limit.

    """
    lines = _tree(picture, None)
    for shape in (_numbered, _folder):
        if len(lines) > _MOST_LINES:
            lines = min(lines, _tree(picture, shape), key=len)
    shown = [(_fitting(lead, text, width), state) for lead, text, state in lines[:_LONGEST]]
    if (more := len(lines) - _LONGEST) > 0:
        lines_of = "line" if more == 1 else "lines"
        what = (
            f"... and {more} more {lines_of}: name some targets, or use --collapse or --format html"
        )
        shown.append((_fitting("", what, width), lines[_LONGEST][2]))
    return shown


def _numbered(node: Node) -> str:
    return _NUMBER.sub("#", node.name)


def _folder(node: Node) -> str:
    head, slash, _ = node.name.rpartition("/")
    return f"{head}{slash}*"


def _tree(picture: Picture, shape: Callable[[Node], str] | None) -> list[tuple[str, str, State]]:
    """Return for each line the branch before it, its text, and its state."""
    needs: list[list[int]] = [[] for _ in picture.nodes]
    needed = set()
    for source, target in picture.edges:
        needs[target].append(source)
        needed.add(source)
    lines: list[tuple[str, str, State]] = []
    seen: set[int] = set()
    roots = _folded(picture, [i for i in range(len(picture.nodes)) if i not in needed], shape)
    # A stack of (line, the branch before it, the branch before its children).
    pending = [(root, "", "") for root in reversed(roots)]
    while pending:
        line, lead, below = pending.pop()
        state = picture.nodes[line.members[0]].state
        children = list(dict.fromkeys(dep for i in line.members for dep in needs[i]))
        again = bool(children) and seen.issuperset(line.members)
        suffix = " (above)" if again else ""
        lines.append((lead, f"{SYMBOLS[state]} {line.label}{suffix}", state))
        if again:
            continue
        seen.update(line.members)
        inner = _folded(picture, children, shape)
        for position in range(len(inner) - 1, -1, -1):
            last = position == len(inner) - 1
            pending.append(
                (
                    inner[position],
                    _cut(below) + ("`-- " if last else "|-- "),
                    _cut(below) + ("    " if last else "|   "),
                )
            )
    return lines


def _cut(lead: str) -> str:
    """Return the branch before a line, without its beginning if it is long."""
    return lead if len(lead) <= _DEEPEST_LEAD else "... " + lead[4 - _DEEPEST_LEAD :]


def _folded(
    picture: Picture, nodes: Sequence[int], shape: Callable[[Node], str] | None
) -> list[_Line]:
    """Return the lines of neighbouring nodes, in the order of their first nodes."""
    groups: dict[object, list[int]] = {}
    for i in nodes:
        node = picture.nodes[i]
        groups.setdefault(i if shape is None else (node.state, shape(node)), []).append(i)
    lines: list[_Line] = []
    for members in groups.values():
        if shape is None or len(members) < _FEWEST_FOLDED:
            lines += [_Line((i,), _one(picture.nodes[i])) for i in members]
        else:
            count = sum(picture.nodes[i].targets for i in members)
            drifted = sum(picture.nodes[i].drifted for i in members)
            label = f"{shape(picture.nodes[members[0]])} ({count}){_mark(drifted, count)}"
            lines.append(_Line(tuple(members), label))
    return lines


def _one(node: Node) -> str:
    name = node.id if node.targets == 1 else titled(node)
    return name + _mark(node.drifted, node.targets)


def _mark(drifted: int, targets: int) -> str:
    """Return what a line says of drift: `  [drifted]`, of several targets `  [3 drifted]`."""
    if not drifted:
        return ""
    return "  [drifted]" if targets == 1 else f"  [{drifted} drifted]"


def _fitting(lead: str, text: str, width: int | None) -> str:
    """Return a line of at most `width` characters: a long branch loses its beginning first."""
    if width is None or len(lead) + len(text) <= width:
        return lead + text
    room = min(max(width - len(text), _LEAST_LEAD), width // 2)
    if len(text) + _LEAST_LEAD <= width:
        room = width - len(text)
    if len(lead) > room:
        lead = ("..." + lead)[-room:] if room < _LEAST_LEAD else "..." + lead[3 - room :]
    over = len(lead) + len(text) - width
    return lead + (text if over <= 0 else text[: max(width - len(lead) - 3, 1)] + "...")


FILLS: dict[State, tuple[str, str]] = {
    # Fill and border. Words, and in the page also shapes, tell states apart without colour.
    "built": ("#e6f4e9", "#1a7f37"),
    "to build": ("#e4f0fd", "#0a5fc4"),
    "stale": ("#fff3d1", "#8a5300"),
    "failed": ("#ffe6e5", "#b8222c"),
    "held": ("#f2eafd", "#7440c4"),
    "blocked": ("#e9ecef", "#515a63"),
    "later": ("#ffffff", "#6e7781"),
}
_MERMAID_EDGES = 500


def titled(node: Node) -> str:
    """Return a node's name; for several targets with their number."""
    return node.name if node.targets == 1 else f"{node.name} ({node.targets})"


def state_text(node: Node) -> str:
    """Return a node's state in words, and whether it drifted."""
    return node.state + _mark(node.drifted, node.targets).replace("  [", ", ").rstrip("]")


def as_dot(picture: Picture) -> str:
    """Return the picture in the language of Graphviz."""
    lines = [
        "digraph pipeline {",
        "  rankdir=LR;",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11];',
    ]
    for node in picture.nodes:
        fill, border = FILLS[node.state]
        label = _dot(f"{titled(node)}\n{state_text(node)}")
        dashed = ', style="rounded,filled,dashed"' if node.state == "later" else ""
        look = f'fillcolor="{fill}", color="{border}"{dashed}'
        lines.append(f"  {_dot(node.id)} [label={label}, {look}];")
    lines += [
        f"  {_dot(picture.nodes[a].id)} -> {_dot(picture.nodes[b].id)};" for a, b in picture.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _dot(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def as_mermaid(picture: Picture) -> str:
    """Return the picture in the language of Mermaid.

    Raises:
        UsageError: the picture has more edges than Mermaid draws.

    """
    if len(picture.edges) > _MERMAID_EDGES:
        raise UsageError(
            f"mermaid draws at most {_MERMAID_EDGES} edges, and there are {len(picture.edges)}",
            hint="draw folders as one with --collapse 1, name some targets, or use --format html",
        )
    lines = ["flowchart LR"]
    for index, node in enumerate(picture.nodes):
        mark = _mermaid(_mark(node.drifted, node.targets))
        label = _mermaid(titled(node)) + mark
        lines.append(f'  n{index}["{label}"]:::{node.state.replace(" ", "-")}')
    lines += [f"  n{a} --> n{b}" for a, b in picture.edges]
    for state in dict.fromkeys(node.state for node in picture.nodes):
        fill, border = FILLS[state]
        dashed = ",stroke-dasharray:5 3" if state == "later" else ""
        look = f"fill:{fill},stroke:{border},color:#1b1b1b{dashed}"
        lines.append(f"  classDef {state.replace(' ', '-')} {look}")
    return "\n".join(lines) + "\n"


def _mermaid(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_./@ -]", lambda found: f"#{ord(found[0])};", text)


def as_json(picture: Picture) -> str:
    """Return the picture as JSON: `{"nodes": [{"id", ...}], "edges": [{"source", "target"}]}`."""
    nodes = [
        {
            "id": n.id,
            "name": n.name,
            "state": n.state,
            "reason": n.reason,
            "tags": list(n.tags),
            "resources": n.resources or None,
            **({"targets": n.targets} if n.targets > 1 else {}),
            **({"drifted": n.drifted} if n.drifted else {}),
        }
        for n in picture.nodes
    ]
    edges = [
        {"source": picture.nodes[a].id, "target": picture.nodes[b].id} for a, b in picture.edges
    ]
    return json.dumps({"schema_version": 1, "nodes": nodes, "edges": edges}, indent=1) + "\n"
