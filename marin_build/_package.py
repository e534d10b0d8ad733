"""Where this package lies. This folder alone tells its own code from the user's code."""

from __future__ import annotations

import os

FOLDER = os.path.dirname(os.path.abspath(__file__))


def is_ours(file: str) -> bool:
    """Return whether `file`, an absolute path, is source of this package."""
    return file.startswith(FOLDER + os.sep)
