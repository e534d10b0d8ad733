"""Whose code called: the author's, a library's, Python's, the import system's, or ours.

Libraries read clocks and set up random numbers when they are imported, and nothing of it reaches a
pipeline. So what counts is what the author's code does, itself or through a library that it calls;
not what happens below one of its import statements.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Literal

from marin_build._package import FOLDER
from marin_build.workspace.workspace import installed_in

if TYPE_CHECKING:
    from types import FrameType

Owner = Literal["author", "library", "python", "imports", "ours"]

IMPORT_SYSTEM = ("<frozen importlib", "<frozen zipimport")
"""Begin the names of the files of the import system."""
_PYTHON = tuple(
    {
        os.path.dirname(os.__file__) + os.sep,
        os.path.realpath(os.path.dirname(os.__file__)) + os.sep,
        os.path.join(sys.base_prefix, "lib", "python3") + os.sep,
    }
)
_SITE = f"{os.sep}site-packages{os.sep}"
_DISTRIBUTION = f"{os.sep}dist-packages{os.sep}"
_OURS = FOLDER + os.sep
_known: dict[str, Owner] = {}


def owner_of(file: str) -> Owner:
    """Return whose code a file is, as code objects name it."""
    found = _known.get(file)
    if found is None:
        found = _known[file] = _owner_of(file)
    return found


def _owner_of(file: str) -> Owner:
    if file.startswith("<"):
        return "imports" if file.startswith(IMPORT_SYSTEM) else "python"
    if file.startswith(_OURS):
        return "ours"
    if _SITE in file or _DISTRIBUTION in file:
        return "library"
    if file.startswith(_PYTHON):
        return "imports" if f"{os.sep}importlib{os.sep}_bootstrap" in file else "python"
    return "author" if installed_in(os.path.abspath(file)) is None else "library"


def author_frame(frame: FrameType | None) -> FrameType | None:
    """Return the nearest frame of the author's code, whether it called or imports, or None."""
    while frame is not None and owner_of(frame.f_code.co_filename) != "author":
        frame = frame.f_back
    return frame


def calling_author(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the author's code that called.

    None if it only imports what called, or asks marin-build, which makes nothing of clocks.
    """
    while frame is not None:
        owner = owner_of(frame.f_code.co_filename)
        if owner == "author":
            return frame
        if owner in ("imports", "ours"):
            return None
        frame = frame.f_back
    return None


def nearest_owner(frame: FrameType | None) -> Owner:
    """Return whose code called Python's own library, or what it is that called."""
    while frame is not None:
        owner = owner_of(frame.f_code.co_filename)
        if owner != "python":
            return owner
        frame = frame.f_back
    return "python"
