"""Which file holds a module, found by its name without importing anything.

What is imported cannot be imported anew with other facts in force, and a step that imports late
has the same code before and after it ran.
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def find_in(folders: Iterable[str], name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return file and submodule folders of the module `name` in one of `folders`, or None."""
    bare: list[str] = []
    for folder in folders:
        path = os.path.join(folder, name)
        if os.path.isfile(init := os.path.join(path, "__init__.py")):
            return init, (path,)
        if os.path.isfile(path + ".py"):
            return path + ".py", ()
        if os.path.isdir(path):
            bare.append(path)
    return (bare[0], tuple(bare)) if bare else None


def found_by_hooks(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return what the import system knows of a module, for editable installations.

    Args:
        name: without a dot; else its package would be imported.

    """
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    folders = tuple(spec.submodule_search_locations or ())
    if spec.origin is not None and os.path.isabs(spec.origin):
        return spec.origin, folders
    return (folders[0], folders) if folders else None
