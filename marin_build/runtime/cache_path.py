"""Where `disk_cache` keeps the result of a call, if its author names no place."""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import sys
import types
from typing import TYPE_CHECKING, Any

from marin_build.identity.canonical import canonical_text, freeze
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_LONGEST_NAME = 150


def derived_path(fn: Callable[..., object], args: Any, kwargs: Any, variant: str = "") -> str:
    """Return where the result of a call is kept: `{prefix}/.marin-build/cache/{name}_{digest}`.

    Raises:
        UnfingerprintableError: an argument has no canonical form.

    """
    inner = inspect.unwrap(fn)
    name = f"{_module_of(inner)}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
    try:
        bound = inspect.signature(fn).bind(*args, **kwargs)
    except ValueError:  # a builtin without a signature
        given: dict[str, object] = {"args": args, "kwargs": kwargs}
    else:
        bound.apply_defaults()
        given = dict(bound.arguments)
    identity: dict[str, object] = {"name": name, "arguments": freeze(given, name)}
    if variant:
        identity["variant"] = variant
    digest = hashlib.sha256(canonical_text(identity).encode()).hexdigest()[:16]
    shown = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[-_LONGEST_NAME:].strip("-.")
    code = getattr(inner, "__code__", None)
    prefix = current_workspace(code.co_filename if code is not None else None).prefix
    return f"{prefix}/.marin-build/cache/{shown}_{digest}"


def _module_of(fn: object) -> str:
    """Return a function's module; that of a script is named after its file."""
    module = str(getattr(fn, "__module__", None) or "builtins")
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.abspath(file) if module == "__main__" and file else module


def variant_of(fn: Callable[..., object]) -> str:
    """Return what tells lambdas and inner functions apart that have one qualified name.

    That is their code, and the plain values they captured, as they are when the function is
    wrapped. What can change, like a list of results, is no part of it.
    """
    inner = inspect.unwrap(fn)
    if not isinstance(inner, types.FunctionType) or "<" not in inner.__qualname__:
        return ""
    from marin_build.identity.code.digest import code_digest

    cells = [_plain(cell) for cell in inner.__closure__ or ()]
    return code_digest(_with_cells(inner, cells))


def _with_cells(fn: types.FunctionType, cells: Sequence[types.CellType]) -> types.FunctionType:
    return types.FunctionType(fn.__code__, fn.__globals__, closure=tuple(cells))


def _plain(cell: types.CellType) -> types.CellType:
    """Return the cell if its value cannot change, else an empty one."""
    try:
        value = cell.cell_contents
    except ValueError:  # not assigned yet
        return types.CellType()
    if isinstance(value, types.FunctionType):
        empty = [types.CellType() for _ in value.__closure__ or ()]
        return types.CellType(_with_cells(value, empty))
    plain = isinstance(value, str | int | float | bytes | None)
    return types.CellType(value) if plain else types.CellType()
