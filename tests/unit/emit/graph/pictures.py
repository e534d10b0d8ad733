"""Small pictures that several tests draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.emit.graph.picture import Node, Picture

if TYPE_CHECKING:
    from marin_build.emit.graph.picture import State


def node(name: str, state: State = "built", tag: str = "") -> Node:
    """Return a target, with a tag or none."""
    tags = (tag,) if tag else ()
    return Node(f"{name}_1", name, state, "why", tags, "4 cpu", is_command=False)


DIAMOND = Picture(
    (node("raw", tag="t"), node("a"), node("b", "to build"), node("end", "blocked")),
    ((0, 1), (0, 2), (1, 3), (2, 3)),
)
