"""Names that functions read from around them, and what functions of one code have in common."""

from __future__ import annotations

import dis
import functools
import types
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.identity.callables import CountsByName
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Container

UNSET: Any = object()
"""What stands for the value of a name that has none yet."""
EMPTY = types.CellType()
"""A cell without a value; only such cells are equal to it."""
SCALARS = (bool, int, float, str, type(None))
PLAIN = (*SCALARS, bytes, tuple, list, dict, frozenset, set, Enum, PurePath, CountsByName)
"""The kinds of values that are no code."""


class Captured(NamedTuple):
    """A name that a function reads from around it. A tuple, as a step may have several.

    Args:
        name: the name.
        function: of Python; reads it, or has the code and the module of one that does.
        cell: where its value is; None: in the module of the function.
        then: the value when the step was declared; none if it had none yet.
        is_attribute: whether the step has an attribute of that name, and the value was equal.

    """

    name: str
    function: Any
    cell: types.CellType | None
    then: Any
    is_attribute: bool = False

    @property
    def now(self) -> Any:
        """The value that the function would read now."""
        if self.cell is None:
            return self.function.__globals__.get(self.name, UNSET)
        return _content(self.cell)


class CellValues(tuple[Any, ...]):
    """What the cells of a function held when its step was declared, where that cannot change.

    These are scalars and what counts by its name; `UNSET` for a cell without a value. Steps that a
    loop declares have such functions: a `Captured` for each of their cells would take longer.
    """

    __slots__ = ()

    def are_those_of(self, function: types.FunctionType) -> bool:
        """Return whether the cells of the function still hold the same."""
        try:
            for then, cell in zip(self, function.__closure__ or (), strict=True):
                if then is not UNSET and cell.cell_contents is not then:
                    return False
        except ValueError:  # one that had a value is empty now
            return False
        return True

    def captured(self, function: types.FunctionType, attrs: Container[str]) -> list[Captured]:
        """Return the same as one value for each cell that had one.

        Args:
            function: the one that has the cells.
            attrs: the names of the step's attributes, which were equal.

        """
        names, cells = function.__code__.co_freevars, function.__closure__ or ()
        return [
            Captured(name, function, cell, then, name in attrs)
            for name, cell, then in zip(names, cells, self, strict=True)
            if then is not UNSET
        ]


@dataclass(frozen=True, slots=True)
class Shared:
    """What functions of one code in one module share: steps made in a loop have such functions.

    Args:
        code, module: of the functions.
        names: what they may read from their module; attributes of values are among them.
        cells: the names of their cells; None for one that they assign to (`nonlocal`): that is
            what a function keeps between its calls, no input of it.
        globals: what the names of the module stood for last.

    """

    code: types.CodeType
    module: dict[str, Any]
    names: frozenset[str]
    cells: tuple[str | None, ...]
    globals: tuple[Captured, ...]

    def is_valid_for(self, module: dict[str, Any]) -> bool:
        """Return whether functions of that module find there what was found last."""
        for each in self.globals:
            if module.get(each.name, UNSET) is not each.then:
                return False
        return module is self.module


_ASSIGNS = {"STORE_DEREF", "DELETE_DEREF"}
_MOST = 1024
_shared: dict[int, Shared] = {}  # by the id of the code, whose hash takes longer than the rest


def shared_by(function: types.FunctionType) -> Shared:
    """Return what the functions of a code share, with the values that their module has now."""
    code, module = function.__code__, function.__globals__
    known = _shared.get(id(code))
    if known is not None and known.is_valid_for(module):
        return known
    if len(_shared) >= _MOST:
        _shared.clear()
    names = _names_in(code)
    found = [
        Captured(name, function, None, module[name])
        for name in sorted(names)
        if name in module and not name.startswith("__") and isinstance(module[name], PLAIN)
    ]
    assigned = _assigned_by(code)
    cells = tuple([None if name in assigned else name for name in code.co_freevars])
    made = Shared(code, module, names, cells, tuple(found))
    _shared[id(code)] = made
    return made


@functools.lru_cache(maxsize=1024)  # steps made in a loop have one code
def _names_in(code: types.CodeType) -> frozenset[str]:
    """Return the names that code may read from its module; attributes of values are among them."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*(_names_in(const) for const in inner))


@functools.lru_cache(maxsize=1024)
def _assigned_by(code: types.CodeType) -> frozenset[str]:
    """Return the names around a function that it, or a function in it, assigns to."""
    names = {each.argval for each in dis.get_instructions(code) if each.opname in _ASSIGNS}
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return (
        frozenset(names)
        .intersection(code.co_freevars)
        .union(*(_assigned_by(const) & set(code.co_freevars) for const in inner))
    )


def _content(cell: types.CellType) -> Any:
    return UNSET if cell == EMPTY else cell.cell_contents  # an empty one gets its value later
