"""What the code of a project depends on besides its text: which modules and names there are.

A resolver asks the file system and the import system through here. Each question is asked once and
kept with its answer, so that a later process can tell whether all answers are still the same.
"""

from __future__ import annotations

import builtins
import os
import sys
from dataclasses import field
from typing import Any

from marin_build.identity.module_files import find_in, found_by_hooks
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, path, table, text

ModulePlace = tuple[str, tuple[str, ...]]
"""The file of a module, and the folders of its submodules."""


@dataclass(slots=True)
class Lookups:
    """Questions and their answers.

    Args:
        _inside: folders of a package, and a name -> the module of that name in it, or None.
        _tops: the first part of a module's name -> that module, or None.
        _builtins: name -> whether Python has it built in.
        _files: path -> whether a file is there.

    """

    _inside: dict[tuple[tuple[str, ...], str], ModulePlace | None] = field(default_factory=dict)
    _tops: dict[str, ModulePlace | None] = field(default_factory=dict)
    _builtins: dict[str, bool] = field(default_factory=dict)
    _files: dict[str, bool] = field(default_factory=dict)

    def inside(self, folders: tuple[str, ...], name: str) -> ModulePlace | None:
        """Return the module of a name in the folders of a package, or None."""
        key = (folders, name)
        if key not in self._inside:
            self._inside[key] = find_in(folders, name)
        return self._inside[key]

    def top(self, name: str) -> ModulePlace | None:
        """Return the module that `import name` finds, or None; the name has no dot."""
        if name not in self._tops:
            self._tops[name] = _find_top(name)
        return self._tops[name]

    def is_builtin(self, name: str) -> bool:
        """Return whether Python has a name built in."""
        if name not in self._builtins:
            self._builtins[name] = hasattr(builtins, name)
        return self._builtins[name]

    def is_file(self, file: str) -> bool:
        """Return whether a file is there."""
        if file not in self._files:
            self._files[file] = os.path.isfile(file)
        return self._files[file]

    def still_hold(self) -> bool:
        """Return whether all answers are the same now."""
        return (
            all(hasattr(builtins, name) is known for name, known in self._builtins.items())
            and all(os.path.isfile(file) is known for file, known in self._files.items())
            and all(find_in(*key) == known for key, known in self._inside.items())
            and all(_find_top(name) == known for name, known in self._tops.items())
        )

    def add(self, others: Lookups) -> None:
        """Add questions that hold as well."""
        self._inside |= others._inside
        self._tops |= others._tops
        self._builtins |= others._builtins
        self._files |= others._files

    def json_values(self) -> dict[str, Any]:
        """Return them as JSON values."""
        return {
            "inside": [[*key, known] for key, known in self._inside.items()],
            "tops": self._tops,
            "builtins": self._builtins,
            "files": self._files,
        }

    @classmethod
    def of_json(cls, values: object) -> Lookups:
        """Return what `json_values` returned; ValueError for anything else."""
        found = table(values)
        inside = [array(item) for item in array(found.get("inside"))]
        tops = table(found.get("tops"))
        if not all(name.isidentifier() for name in tops):  # `a.b` would import `a`
            raise ValueError("a module's name that no module can have")
        return cls(
            {(_paths(folders), text(name)): _place(known) for folders, name, known in inside},
            {name: _place(known) for name, known in tops.items()},
            {name: known is True for name, known in table(found.get("builtins")).items()},
            {path(name): known is True for name, known in table(found.get("files")).items()},
        )


def _find_top(name: str) -> ModulePlace | None:
    loaded = getattr(sys.modules.get(name), "__file__", None)
    found = find_in([os.path.abspath(folder) for folder in sys.path], name)
    if loaded is not None and (found is None or not found[1]):
        is_package = os.path.basename(loaded) == "__init__.py"
        found = (loaded, (os.path.dirname(loaded),) if is_package else ())
    return found if found is not None else found_by_hooks(name)


def _paths(value: object) -> tuple[str, ...]:
    return tuple(map(path, array(value)))


def _place(value: object) -> ModulePlace | None:
    if value is None:
        return None
    file, folders = array(value)
    return path(file), _paths(folders)
