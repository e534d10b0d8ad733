"""Lines that say where requested outputs are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.requested_outputs import BuiltOutput


_SHOWN = 3


def output_lines(outputs: Sequence[BuiltOutput], more: int, paths: str) -> list[str]:
    """Return lines that say where outputs are; of many the first three.

    Args:
        outputs: some of them.
        more: how many more there are.
        paths: the command that prints them all.

    """
    lines = [f"  {output.name}: {_shown(output.path)}" for output in outputs[:_SHOWN]]
    left = len(outputs) - len(lines) + more
    return [*lines, f"  and {left} more: {paths}"] if left else lines


def _shown(path: str) -> str:
    """Return a path as a user in the current folder would write it."""
    if is_url(path):
        return path
    try:
        return relative_to(path, os.getcwd())
    except FileNotFoundError:  # the current folder is gone
        return path
