"""Modules that bodies import late, imported once in the template for the bodies that follow.

The template holds as little as it can: each fork pays for its memory. What marin-build itself needs
for some steps only, as pydantic for those that return objects, the first of these steps imports. In
a fresh process each of the others would do so again, for longer than most of them take.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


_SHARED = ("marin_build", "pydantic")
"""Packages whose modules hold nothing of a step: any other the steps import for themselves."""


class LateImports:
    """The modules of marin-build that a process imports from now on."""

    def __init__(self) -> None:
        self._count = len(sys.modules)

    def names(self) -> tuple[str, ...]:
        """Return them, and those that were there before if there are any."""
        if len(sys.modules) == self._count:
            return ()
        return tuple(name for name in list(sys.modules) if name.partition(".")[0] in _SHARED)


def share(names: Sequence[str]) -> bool:
    """Import modules, in this order; return whether there were any to import.

    What cannot be imported here is left to those who need it.
    """
    late = [name for name in names if name not in sys.modules]
    for name in late:
        with suppress(Exception):
            importlib.import_module(name)
    return bool(late)
