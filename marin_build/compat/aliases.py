"""Makes Marin's modules importable where Marin is not installed: each name is one of ours.

Nothing is imported before it is asked for: a module is made by its import, and each of its names
is looked up when it is used.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from marin_build.compat.marin_names import ERAS, Era, marin_modules
from marin_build.errors import UsageError
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.compat.marin_names import MarinModule

_DISTRIBUTIONS = {"marin": "marin-core", "fray": "marin-fray", "rigging": "marin-rigging"}
_SHOWN = 12


def install(era: Era = "executor") -> None:
    """Have ours stand for `marin`, `fray` and `rigging`, as far as these are not installed.

    May be called again. What was imported under the names of another era stays as it is.

    Args:
        era: which Marin the names stand for. They differ in the fields and defaults of
            ResourceConfig, which are identity when it is versioned.

    Raises:
        UsageError: there is no such era.

    """
    if era not in ERAS:
        raise UsageError(f"Marin's era is one of {', '.join(ERAS)}, not `{era}`")
    present = _installed_finder()
    if present is not None and present.era == era:
        return
    uninstall()
    sys.meta_path.insert(0, AliasFinder(era))


def uninstall() -> None:
    """Take the modules away again, also those that were imported."""
    if (finder := _installed_finder()) is not None:
        sys.meta_path.remove(finder)
    for name, module in list(sys.modules.items()):
        if isinstance(module, AliasModule):
            del sys.modules[name]


class AliasModule(ModuleType):
    """A module of Marin's name, whose names are ours."""

    def __init__(self, row: MarinModule) -> None:
        super().__init__(row.name, f"Marin's `{row.name}`, as marin-build stands for it.")
        self.__dict__["__all__"] = sorted(row.ours)
        self.__dict__["_homes"] = row.ours

    def __getattr__(self, name: str) -> object:
        home = self.__dict__["_homes"].get(name)
        if home is None:
            raise AttributeError(f"`{self.__name__}` has no `{name}` in marin-build")
        module, _, attribute = home.rpartition(".")
        if module:
            value: object = getattr(importlib.import_module(module), attribute)
        else:  # a module of Python that Marin's module has as one of its names
            value = importlib.import_module(home)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # `fray.current_client` is a function of the package `fray`, and a module in it: the
        # function stays, as in Marin, when the module is imported.
        if not (isinstance(value, AliasModule) and name in self.__dict__["_homes"]):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return list(self.__dict__["__all__"])


class AliasFinder:
    """Finds the modules of the table, and says of others that they are not there."""

    def __init__(self, era: Era) -> None:
        self.era = era
        self._modules = marin_modules(era)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how a module is made; None if it is none of Marin's, or Marin is installed.

        Raises:
            ModuleNotFoundError: it is Marin's, and ours has nothing that stands for it.

        """
        del path, target
        parent, _, last = fullname.rpartition(".")
        if not parent:
            if fullname not in _DISTRIBUTIONS or _is_installed(fullname):
                return None
        elif not isinstance(sys.modules.get(parent), AliasModule):
            return None
        if fullname in self._modules:
            return ModuleSpec(fullname, cast("Any", self), origin="marin-build", is_package=True)
        # Python asks for `fray.types.Name`, too, when `from fray.types import Name` finds no name:
        # every module of ours counts as a package. Python replaces an error of the name that it
        # asked for by one of its own, and raises an error of another name as it is.
        root = fullname.partition(".")[0]
        raise ModuleNotFoundError(_not_there(last, parent, self._modules), name=root)

    def create_module(self, spec: ModuleSpec) -> AliasModule:
        """Return the module; none of its names is looked up yet."""
        return AliasModule(self._modules[spec.name])

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: there is no code to run."""


def _installed_finder() -> AliasFinder | None:
    return next((one for one in sys.meta_path if isinstance(one, AliasFinder)), None)


def _is_installed(root: str) -> bool:
    """Return whether a package is there; a folder without code, as of a checkout, is none."""
    spec = PathFinder.find_spec(root)
    return spec is not None and spec.origin is not None


def _not_there(name: str, parent: str, modules: Mapping[str, MarinModule]) -> str:
    """Return what is missing, and what there is instead."""
    inner = [one.removeprefix(f"{parent}.") for one in modules if one.startswith(f"{parent}.")]
    known = sorted({*modules[parent].ours, *(one.partition(".")[0] for one in inner)})
    root = parent.partition(".")[0]
    near = did_you_mean(name, known)
    some = ", ".join(known[:_SHOWN]) + (" and more" if len(known) > _SHOWN else "")
    return (
        f"there is no `{name}` in `{parent}`: {root} is not installed, and marin-build stands for "
        f"a part of it only. There is {some or 'nothing'}"
        f"{f' ({near})' if near else ''}. All of it comes with {_DISTRIBUTIONS[root]}"
    )
