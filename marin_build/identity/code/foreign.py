"""Which code is not the project's own: Python's, an installed distribution's, or marin-build's."""

from __future__ import annotations

import functools
import os

from marin_build._package import is_ours

INSTALLED = {"site-packages", "dist-packages"}
STANDARD = os.path.dirname(os.path.abspath(os.__file__))


@functools.cache
def is_foreign(file: str) -> bool:
    """Return whether a file belongs to Python, an installed distribution or marin-build."""
    if not INSTALLED.isdisjoint(file.split(os.sep)):
        return True
    return is_ours(file) or file.startswith((STANDARD + os.sep, "<frozen"))
