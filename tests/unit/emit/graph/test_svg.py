"""The picture that goes into a README: well-formed, and safe whatever a step is called."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from marin_build.emit.graph.picture import Node, Picture
from marin_build.emit.graph.svg import as_svg
from marin_build.emit.templates import Templates

if TYPE_CHECKING:
    from marin_build.workspace.workspace import Workspace

_SVG = "{http://www.w3.org/2000/svg}"


def test_every_node_and_edge_is_drawn_and_named(workspace: Workspace) -> None:
    odd = '<a href="x">&'
    nodes = (
        Node("raw_1", "raw", "built", "built by ada", (), "", is_command=True),
        Node(odd, odd, "to build", "never built", (), "", is_command=False),
    )
    root = ET.fromstring(as_svg(Picture(nodes, ((0, 1),)), Templates(workspace)))
    titles = [title.text for title in root.iter(f"{_SVG}title")]
    assert titles == ["raw_1: built by ada", f"{odd}: never built"]
    names = [text.text for text in root.iter(f"{_SVG}text") if text.get("class") == "name"]
    assert names == ["raw", odd]
    assert len([p for p in root.iter(f"{_SVG}path") if p.get("class") == "edge"]) == 1
    legend = [text.text for text in root.iter(f"{_SVG}text") if text.get("class") == "key"]
    assert legend == ["built (1)", "to build (1)"]
    _, _, width, height = map(float, (root.get("viewBox") or "").split())
    for box in root.iter(f"{_SVG}rect"):
        if box.get("x") is not None:
            right = float(box.get("x") or 0) + float(box.get("width") or 0)
            bottom = float(box.get("y") or 0) + float(box.get("height") or 0)
            assert right <= width
            assert bottom <= height
