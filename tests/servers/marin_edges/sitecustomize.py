"""Stand-ins for what Marin's executor imports but does not use here: its cluster client, and JAX.

They weigh gigabytes. A name of theirs is an empty class; the function that asks whether the program
runs in their cluster says no. On PYTHONPATH, this file is run when Python starts.
"""

from __future__ import annotations

import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


_PACKAGES = ("iris", "jax", "levanter")


class _StandIn(ModuleType):
    __path__: list[str] = []  # noqa: RUF012 - every module of these is a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "mkdirs":
            return lambda path: os.makedirs(path, exist_ok=True)
        if name.endswith(("_ctx", "_info")):
            return lambda: None
        value = type(name, (Exception,), {})
        setattr(self, name, value)
        return value


class _StandIns(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in _PACKAGES:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


sys.meta_path.append(_StandIns())
