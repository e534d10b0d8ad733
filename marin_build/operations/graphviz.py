"""Graphviz as a program: asked for a layout where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from marin_build.emit.graph.graphviz import answer, question

if TYPE_CHECKING:
    from marin_build.emit.graph.layout import Layout
    from marin_build.emit.graph.picture import Picture


_PATIENCE = 60.0
"""Seconds. Graphviz takes 3 s for 2,000 boxes, and much longer for more."""
_QUICK_NODES, _QUICK_EDGES = 2000, 6000


def is_quick(picture: Picture) -> bool:
    """Return whether Graphviz lays a picture out while people wait."""
    return len(picture.nodes) <= _QUICK_NODES and len(picture.edges) <= _QUICK_EDGES


def graphviz_layout(picture: Picture) -> Layout | None:
    """Return the layout that Graphviz makes; None where it is missing, too slow, or fails."""
    program = shutil.which("dot")
    if program is None or not picture.nodes:
        return None
    try:
        done = subprocess.run(
            [program, "-Tplain"],
            input=question(picture),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer(picture, done.stdout)
