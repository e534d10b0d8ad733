"""Finds where a dotted name of a module is defined: in the project, or in another distribution."""

from __future__ import annotations

import os
import sys
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from marin_build.identity.code.foreign import is_foreign
from marin_build.identity.code.lookups import Lookups
from marin_build.identity.code.modules import Module, read_module
from marin_build.identity.code.scopes import Import
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from marin_build.identity.code.references import Chain


_OURS = "marin_build"
_OPAQUE = {"importlib", "pkgutil", "runpy", "imp"}
_OF_MODULES = {"__file__", "__name__", "__doc__", "__spec__", "__package__", "__path__"}


class Definition(NamedTuple):
    """A name that a first-party module defines."""

    module: Module
    name: str


class External(NamedTuple):
    """A name of a module outside the project; `name` is dotted and begins with `top`."""

    top: str
    name: str
    is_standard: bool = False


class Unseen(NamedTuple):
    """What cannot be followed."""

    why: str


Found = Definition | External | Unseen


@dataclass(slots=True)
class Resolver:
    """Finds modules and names. `project` is the folder whose modules are first-party."""

    project: str
    lookups: Lookups = field(default_factory=Lookups)
    _tops: dict[str, Module | None] = field(default_factory=dict)
    _inside: dict[tuple[Module, str], Module | None] = field(default_factory=dict)
    _files: dict[str, Module] = field(default_factory=dict)

    def is_first_party(self, file: str) -> bool:
        """Return whether a file is the project's own."""
        return file.startswith(self.project + os.sep) and not is_foreign(file)

    @property
    def files(self) -> tuple[str, ...]:
        """The files, and folders without `__init__.py`, of all modules that were found."""
        return tuple(self._files)

    def module_of_file(self, file: str, name: str) -> Module:
        """Return the module a function's file holds."""
        if file not in self._files:
            is_package = os.path.basename(file) == "__init__.py"
            folders = (os.path.dirname(file),) if is_package else ()
            self._keep(read_module(name, file, folders))
        return self._files[file]

    def resolve(
        self, module: Module, chain: Chain, looked: set[tuple[Module, str]] | None = None
    ) -> list[Found]:
        """Return what a dotted name read in `module` can stand for.

        Args:
            module: where it is read.
            chain: the name.
            looked: gets the names that were looked up on the way, with the modules they bind.

        """
        seen: set[tuple[Module, str]] = set()
        if chain.imported is not None:
            found = self._imported(module, chain.imported, chain.names[1:], seen)
        else:
            found = self._named(module, chain.names, seen)
        if looked is not None:
            looked |= seen
        if chain.in_annotation:  # a name that only type checkers know does nothing
            found = [item for item in found if not isinstance(item, Unseen)]
        return found

    def _named(
        self, module: Module, names: tuple[str, ...], seen: set[tuple[Module, str]]
    ) -> list[Found]:
        name = names[0]
        if (module, name) in seen:
            return []
        seen.add((module, name))
        found: list[Found] = []
        if name in module.definitions:
            found.append(Definition(module, name))
        for imported in module.imports.get(name, ()):
            found.extend(self._imported(module, imported, names[1:], seen))
        if found or name in module.imports:
            return found
        for star in module.stars:
            one = Import(star.module, name, star.level)
            inside = self._imported(module, one, names[1:], seen)
            found.extend(item for item in inside if not isinstance(item, Unseen))
        is_known = name in module.typing_only or name in _OF_MODULES
        if found or is_known or self.lookups.is_builtin(name):
            return found
        if (inner := self._submodule(module, name)) is not None:
            return self._inside_of(inner, names[1:], seen)
        return [Unseen(f"{'.'.join(names)}, which {module.name} does not define")]

    def _imported(
        self,
        module: Module,
        imported: Import,
        rest: tuple[str, ...],
        seen: set[tuple[Module, str]],
    ) -> list[Found]:
        if imported.attribute is not None:
            rest = (imported.attribute, *rest)
        parts = tuple(part for part in imported.module.split(".") if part)
        if imported.level:
            base = self._ancestor(module, imported.level)
        else:
            top = parts[0]
            if top in _OPAQUE:
                return [Unseen(".".join((*parts, *rest)))]
            name = ".".join((*parts, *rest))
            if top in sys.stdlib_module_names:
                return [External(top, name, is_standard=True)]
            found = self._top(top)
            if found is None:
                return [External(top, name)]
            base, parts = found, parts[1:]
        if imported.attribute is not None:
            base, parts = self._module_in(base, parts)
        return self._inside_of(base, (*parts, *rest), seen)

    def _module_in(self, module: Module, parts: tuple[str, ...]) -> tuple[Module, tuple[str, ...]]:
        """Return the module that `from a.b import c` reads from, and the parts that name no module.

        For `from`, Python looks among modules, even if the package binds that name to something
        else. `import a.b as c` instead reads attributes, one by one.
        """
        while parts and (inner := self._submodule(module, parts[0])) is not None:
            module, parts = inner, parts[1:]
        return module, parts

    def _inside_of(
        self, module: Module, names: tuple[str, ...], seen: set[tuple[Module, str]]
    ) -> list[Found]:
        while names:
            name = names[0]
            # `from . import api` in a package names a submodule, not itself again
            is_open = (module, name) in seen
            is_bound = not is_open and (name in module.definitions or name in module.imports)
            inner = self._submodule(module, name)
            if inner is None or (is_bound and not _is_rebound(module, inner, names)):
                return self._named(module, names, seen)
            module, names = inner, names[1:]
        return [Unseen(f"the module {module.name}, used as a value")]

    def _ancestor(self, module: Module, level: int) -> Module:
        folder, name = module.folder, module.package
        for _ in range(level - 1):
            folder, name = os.path.dirname(folder), name.rpartition(".")[0]
        file = os.path.join(folder, "__init__.py")
        known = self._files.get(file) or self._files.get(folder)
        if known is None:
            is_file = self.lookups.is_file(file)
            known = read_module(name, file if is_file else folder, (folder,))
        return self._keep(known)

    def _submodule(self, module: Module, name: str) -> Module | None:
        if not module.folders:
            return None
        key = (module, name)
        if key not in self._inside:
            found = self.lookups.inside(module.folders, name)
            if found is None:
                self._inside[key] = None
            else:
                self._inside[key] = self._keep(read_module(f"{module.name}.{name}", *found))
        return self._inside[key]

    def _top(self, name: str) -> Module | None:
        """Return a first-party module by the first part of its name, or None."""
        if name not in self._tops:
            self._tops[name] = None if name == _OURS else self._find_top(name)
        return self._tops[name]

    def _find_top(self, name: str) -> Module | None:
        found = self.lookups.top(name)
        if found is None or not self.is_first_party(found[0]):
            return None
        return self._keep(read_module(name, *found))

    def _keep(self, module: Module) -> Module:
        """Return the one module of a file, whatever name it was found by."""
        return self._files.setdefault(module.file, module)


def _is_rebound(package: Module, inner: Module, names: tuple[str, ...]) -> bool:
    """Return whether a submodule has replaced the value of the same name in its package.

    The first import of a submodule makes it an attribute of its package. If the package itself
    imports the submodule, its own statements bind the name later, and its value stays. Otherwise
    `import pkg.tok` puts the submodule in place of the package's own `tok`.
    """
    if names[1:2] == () or not (names[1] in inner.definitions or names[1] in inner.imports):
        return False
    for imported in (*package.stars, *(one for some in package.imports.values() for one in some)):
        full = ".".join(filter(None, (imported.module, imported.attribute)))
        start = names[0] if imported.level else f"{package.name}.{names[0]}"
        if imported.level <= 1 and f"{full}.".startswith(f"{start}."):
            return False
    return True
