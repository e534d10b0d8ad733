"""Notes which modules imports look for, whether they find them or not."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from marin_build.analysis.audit_hook import active

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


class SearchedModules:
    """Stands before all that finds modules, and finds none itself."""

    def find_spec(
        self,
        name: str,
        path: Iterable[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 - as importlib calls it
    ) -> None:
        """Note where a module is looked for; others find it."""
        watch = active()
        if watch is not None:
            watch.searches.append((name, tuple(sys.path) if path is None else path))

    def put_in(self) -> None:
        """Have imports ask here first."""
        sys.meta_path.insert(0, self)

    def take_out(self) -> None:
        """Have imports not ask here any more."""
        sys.meta_path[:] = [each for each in sys.meta_path if each is not self]


def folders_with_names(
    searches: Iterable[tuple[str, Iterable[object]]], current: str
) -> dict[str, set[str]]:
    """Return folder -> the names that were looked for in it.

    Args:
        searches: the name of a module, and the folders in which it was looked for.
        current: the current folder, for relative ones.

    """
    found: dict[str, set[str]] = {}
    for name, folders in searches:
        last = name.rpartition(".")[2]
        for folder in folders:
            if isinstance(folder, str):
                place = folder if folder.startswith("/") else os.path.join(current, folder)
                found.setdefault(place.rstrip("/"), set()).add(last)
    return found


def source_of(module: str) -> str:
    """Return the file of a module; of a compiled one its source, which tells if it is used.

    Args:
        module: a path that the import system opened.

    """
    folder, name = os.path.split(module)
    if not name.endswith(".pyc") or os.path.basename(folder) != "__pycache__":
        return module
    return os.path.join(os.path.dirname(folder), f"{name.partition('.')[0]}.py")
