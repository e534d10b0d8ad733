"""Values that a step's function reads from around it when it runs, not when it is declared.

A closure or a lambda made in a loop reads its variable when it is called: all steps of the loop
then run with the last value, under attributes that say otherwise. So what is read is remembered
when a step is declared, and compared once the pipeline is loaded.
"""

from __future__ import annotations

import dis
import functools
import types
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from marin_build.errors import MarinBuildError
from marin_build.identity.attributes import freeze_attributes
from marin_build.identity.callables import Bound, CountsByName, StandsForFunction
from marin_build.identity.canonical import canonical_text
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_UNSET: Any = object()
_EMPTY = types.CellType()
_SCALARS = (bool, int, float, str, type(None))
_PLAIN = (*_SCALARS, bytes, tuple, list, dict, frozenset, set, Enum, PurePath, CountsByName)
_SHOWN = 200


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
            return self.function.__globals__.get(self.name, _UNSET)
        return _content(self.cell)


@dataclass(frozen=True, slots=True)
class _Shared:
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
            if module.get(each.name, _UNSET) is not each.then:
                return False
        return module is self.module


_ASSIGNS = {"STORE_DEREF", "DELETE_DEREF"}
_MOST_SHARED = 1024
_shared: dict[int, _Shared] = {}  # by the id of the code, whose hash takes longer than the rest


def captured_by(fn: object, attrs: Mapping[str, Any]) -> tuple[Captured, ...]:
    """Return what the function of a step reads from around it, as it is now.

    Args:
        fn: what builds the step.
        attrs: its attributes in canonical form.

    """
    function = fn if type(fn) is types.FunctionType else _function_of(fn)
    if function is None:
        return ()
    shared = _shared_by(function)
    named = [] if shared.names.isdisjoint(attrs) else _named(function, shared.names, attrs)
    if function.__closure__ is None and not named:
        return shared.globals
    cells = _in_cells(function, shared.cells, attrs)
    if not named and not shared.globals:
        return tuple(cells)
    seen = {each.name for each in named}
    return (*cells, *named, *(each for each in shared.globals if each.name not in seen))


def contradictions(
    fn: object, attrs: Mapping[str, Any], captured: Iterable[Captured]
) -> list[tuple[str, Any]]:
    """Return the attributes that another value has already in the function, and that value."""
    found = [
        (each.name, each.then)
        for each in captured
        if not each.is_attribute
        and each.name in attrs
        and _contradicts(attrs[each.name], each.then)
        and _is_read(each)
    ]
    if bound := _bound_in(fn):
        found += [
            (name, value)
            for name, value in bound.items()
            if name in attrs and _contradicts(attrs[name], value)
        ]
    return found


def is_late(each: Captured, attrs: Mapping[str, Any]) -> bool:
    """Return whether what a function reads is not what it was when its step was declared.

    Args:
        each: what it reads.
        attrs: the attributes of the step in canonical form.

    """
    cell = each.cell
    now = each.now if cell is None or cell == _EMPTY else cell.cell_contents
    if now is each.then and (not each.is_attribute or isinstance(now, _SCALARS)):
        return False  # nearly all; a list that is the same may have other items
    if each.is_attribute:
        changed = now is not _UNSET and not _agrees(attrs[each.name], now)
    else:
        changed = now is not each.then and _differs(each.then, now) and _was_made_for_it(each)
    return changed and _is_read(each)


def _function_of(fn: object) -> types.FunctionType | None:
    """Return the function that is run in the end, if it is one of Python."""
    while not isinstance(fn, types.FunctionType):
        if isinstance(fn, StandsForFunction):
            fn = fn.code_function
        elif isinstance(fn, functools.partial):
            fn = fn.func
        else:
            return None
    return fn


def _shared_by(function: types.FunctionType) -> _Shared:
    """Return what the functions of a code share, with the values that their module has now."""
    code, module = function.__code__, function.__globals__
    known = _shared.get(id(code))
    if known is not None and known.is_valid_for(module):
        return known
    if len(_shared) >= _MOST_SHARED:
        _shared.clear()
    names = _names_in(code)
    found = [
        Captured(name, function, None, module[name])
        for name in sorted(names)
        if name in module and not name.startswith("__") and isinstance(module[name], _PLAIN)
    ]
    assigned = _assigned_by(code)
    cells = tuple([None if name in assigned else name for name in code.co_freevars])
    made = _Shared(code, module, names, cells, tuple(found))
    _shared[id(code)] = made
    return made


def _named(
    function: types.FunctionType, names: frozenset[str], attrs: Mapping[str, Any]
) -> list[Captured]:
    """Return the names of the module that are attributes, too."""
    there = function.__globals__
    found = [Captured(name, function, None, there.get(name, _UNSET)) for name in names & {*attrs}]
    return [
        Captured(each.name, function, None, each.then, _may_agree(attrs[each.name], each.then))
        for each in found
        if each.then is _UNSET or isinstance(each.then, _PLAIN)
    ]


@functools.lru_cache(maxsize=1024)  # steps made in a loop have one code
def _names_in(code: types.CodeType) -> frozenset[str]:
    """Return the names that code may read from its module; attributes of values are among them."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return frozenset(code.co_names).union(*(_names_in(const) for const in inner))


def _in_cells(
    function: types.FunctionType,
    names: tuple[str | None, ...],
    attrs: Mapping[str, Any],
    seen: frozenset[int] = frozenset(),
) -> list[Captured]:
    """Return what lies in the cells of a function, and in those of the functions in them.

    Args:
        function: has the cells.
        names: theirs; see `_Shared`.
        attrs: the attributes of the step in canonical form.
        seen: the functions around it.

    """
    found: list[Captured] = []
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        if name is None:
            continue
        then = _UNSET if cell == _EMPTY else cell.cell_contents
        if name in attrs:
            agrees = attrs[name] is then or _may_agree(attrs[name], then)
            found.append(Captured(name, function, cell, then, agrees))
        elif then is not _UNSET:
            found.append(Captured(name, function, cell, then))
        if type(then) is types.FunctionType and id(then) not in seen:
            within = seen | {id(function), id(then)}
            found += _in_cells(then, _shared_by(then).cells, attrs, within)
    return found


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
    return _UNSET if cell == _EMPTY else cell.cell_contents  # an empty one gets its value later


def _bound_in(fn: object) -> dict[str, Any]:
    """Return what a partial function or a default has bound; not what `@step` itself has given."""
    if isinstance(fn, Bound):
        return {}
    found: dict[str, Any] = {}
    while isinstance(fn, functools.partial):
        found = {**fn.keywords, **found}
        fn = fn.func
    if type(fn) is types.FunctionType and (fn.__defaults__ or fn.__kwdefaults__):
        code, defaults = fn.__code__, fn.__defaults__ or ()
        last = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
        found = {**dict(zip(last, defaults, strict=True)), **(fn.__kwdefaults__ or {}), **found}
    return found


def _may_agree(attr: Any, value: Any) -> bool:
    return value is _UNSET or _agrees(attr, value)


def _agrees(attr: Any, value: Any) -> bool:
    """Return whether a value is what an attribute says, as itself or as text."""
    if isinstance(value, _SCALARS) and isinstance(attr, _SCALARS):
        return bool(value == attr) or str(value) == str(attr)
    return (text := _text(value)) is not None and text == canonical_text({"": attr})


def _contradicts(attr: Any, value: Any) -> bool:
    """Return whether a value is one of the same kind as an attribute, but another one."""
    kinds: tuple[tuple[type, ...], ...] = (_SCALARS, (list, tuple), (dict,))
    same = any(isinstance(value, kind) and isinstance(attr, kind) for kind in kinds)
    return same and _text(value) is not None and not _agrees(attr, value)


def _differs(then: Any, now: Any) -> bool:
    """Return whether a name stands for something else by now, as far as that can be said."""
    if now is _UNSET or then is _UNSET:
        return False
    match then, now:
        case CountsByName(), CountsByName():
            return then.exact_name != now.exact_name
        case types.FunctionType(), types.FunctionType():
            return then.__code__ is not now.__code__ or then.__closure__ != now.__closure__
    if isinstance(then, _SCALARS) and isinstance(now, _SCALARS):
        return bool(then != now)
    texts = _text(then), _text(now)
    return None not in texts and texts[0] != texts[1]


def _text(value: Any) -> str | None:
    """Return the canonical text of a value, None if it has none."""
    try:
        return canonical_text(freeze_attributes({"": value}, ""))
    except (MarinBuildError, ValueError, TypeError):
        return None


def _was_made_for_it(each: Captured) -> bool:
    """Return whether a function was made to read that value, and not a setting of its module."""
    function = each.function
    if each.cell is not None or function.__name__ == "<lambda>":
        return True
    current = _function_of(function.__globals__.get(function.__name__))
    is_made_again = current is not function and current is not None
    return is_made_again and current.__code__ is function.__code__  # type: ignore[union-attr]


def _is_read(each: Captured) -> bool:
    """Return whether a function reads the name itself, and not an attribute of that name."""
    if each.cell is not None:
        return True
    todo = [each.function.__code__]
    while todo:
        code = todo.pop()
        if any(
            step.argval == each.name and step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
            for step in dis.get_instructions(code)
        ):
            return True
        todo += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return False


def shown_value(value: Any) -> str:
    """Return a value for a message, cut where it is long."""
    text = value.exact_name if isinstance(value, CountsByName) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
