"""The place in the author's files where something was declared."""

from __future__ import annotations

import dataclasses
import functools
import sys

from marin_build._package import is_ours
from marin_build.workspace.workspace import current_workspace, relative_to


def declaring_place() -> tuple[str, int]:
    """Return file and line of the nearest caller outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - inspect.stack reads the sources: 1,000 times slower
    while _is_on_the_way(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


@functools.cache  # by file: steps are declared by the thousand, and on the same way
def _is_on_the_way(file: str) -> bool:
    """Return whether code of a file declares nothing itself: its caller does."""
    return (
        is_ours(file)
        or file.startswith("<string>")
        or file == dataclasses.__file__  # `replace` makes the copy for its caller
    )


def shown(place: tuple[str, int], project: str) -> str:
    """Return `file:line`, the file relative to `project` where it lies inside."""
    file, line = place
    return f"{relative_to(file, project)}:{line}"


def shown_here(place: tuple[str, int]) -> str:
    """Return `file:line` relative to the project in force, else to that of the file."""
    return shown(place, current_workspace(place[0]).project)
