"""Values that a step's function reads from around it when it runs, not when it is declared.

A closure or a lambda made in a loop reads its variable when it is called: all steps of the loop
then run with the last value, under attributes that say otherwise. So what is read is remembered
when a step is declared, and compared once the pipeline is loaded.
"""

from __future__ import annotations

import dis
import functools
import types
from typing import TYPE_CHECKING, Any

from marin_build.errors import MarinBuildError
from marin_build.identity.attributes import freeze_attributes
from marin_build.identity.callables import Bound, CountsByName, StandsForFunction
from marin_build.identity.canonical import canonical_text
from marin_build.pipeline.captured_names import (
    EMPTY,
    PLAIN,
    SCALARS,
    UNSET,
    Captured,
    CellValues,
    shared_by,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


_SHOWN = 200
_SCALARS = frozenset(SCALARS)


def captured_by(fn: object, attrs: Mapping[str, Any]) -> tuple[Captured, ...] | CellValues:
    """Return what the function of a step reads from around it, as it is now.

    Args:
        fn: what builds the step.
        attrs: its attributes in canonical form.

    """
    function = fn if type(fn) is types.FunctionType else _function_of(fn)
    if function is None:
        return ()
    shared = shared_by(function)
    named = [] if shared.names.isdisjoint(attrs) else _named(function, shared.names, attrs)
    if function.__closure__ is None and not named:
        return shared.globals
    if not named and not shared.globals and function is fn:
        values = _cell_values(function, shared.cells, attrs)
        if values is not None:
            return values
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
    now = each.now if cell is None or cell == EMPTY else cell.cell_contents
    if now is each.then and (not each.is_attribute or isinstance(now, SCALARS)):
        return False  # nearly all; a list that is the same may have other items
    if each.is_attribute:
        changed = now is not UNSET and not _agrees(attrs[each.name], now)
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


def _named(
    function: types.FunctionType, names: frozenset[str], attrs: Mapping[str, Any]
) -> list[Captured]:
    """Return the names of the module that are attributes, too."""
    there = function.__globals__
    found = [Captured(name, function, None, there.get(name, UNSET)) for name in names & {*attrs}]
    return [
        Captured(each.name, function, None, each.then, _may_agree(attrs[each.name], each.then))
        for each in found
        if each.then is UNSET or isinstance(each.then, PLAIN)
    ]


def _cell_values(
    function: types.FunctionType, names: tuple[str | None, ...], attrs: Mapping[str, Any]
) -> CellValues | None:
    """Return what the cells of a function hold; None if it may change, or an attribute differs."""
    if function.__defaults__ or function.__kwdefaults__:  # which attributes may contradict
        return None
    values = []
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        then = UNSET if cell == EMPTY else cell.cell_contents
        if not (type(then) in _SCALARS or then is UNSET or isinstance(then, CountsByName)):
            return None
        if name is None or (name in attrs and attrs[name] is not then):
            return None
        values.append(then)
    return CellValues(values)


def _in_cells(
    function: types.FunctionType,
    names: tuple[str | None, ...],
    attrs: Mapping[str, Any],
    seen: frozenset[int] = frozenset(),
) -> list[Captured]:
    """Return what lies in the cells of a function, and in those of the functions in them.

    Args:
        function: has the cells.
        names: theirs; see `Shared`.
        attrs: the attributes of the step in canonical form.
        seen: the functions around it.

    """
    found: list[Captured] = []
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        if name is None:
            continue
        then = UNSET if cell == EMPTY else cell.cell_contents
        if name in attrs:
            agrees = attrs[name] is then or _may_agree(attrs[name], then)
            found.append(Captured(name, function, cell, then, agrees))
        elif then is not UNSET:
            found.append(Captured(name, function, cell, then))
        if type(then) is types.FunctionType and id(then) not in seen:
            within = seen | {id(function), id(then)}
            found += _in_cells(then, shared_by(then).cells, attrs, within)
    return found


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
    return value is UNSET or _agrees(attr, value)


def _agrees(attr: Any, value: Any) -> bool:
    """Return whether a value is what an attribute says, as itself or as text."""
    if isinstance(value, SCALARS) and isinstance(attr, SCALARS):
        return bool(value == attr) or str(value) == str(attr)
    return (text := _text(value)) is not None and text == canonical_text({"": attr})


def _contradicts(attr: Any, value: Any) -> bool:
    """Return whether a value is one of the same kind as an attribute, but another one."""
    kinds: tuple[tuple[type, ...], ...] = (SCALARS, (list, tuple), (dict,))
    same = any(isinstance(value, kind) and isinstance(attr, kind) for kind in kinds)
    return same and _text(value) is not None and not _agrees(attr, value)


def _differs(then: Any, now: Any) -> bool:
    """Return whether a name stands for something else by now, as far as that can be said."""
    if now is UNSET or then is UNSET:
        return False
    match then, now:
        case CountsByName(), CountsByName():
            return then.exact_name != now.exact_name
        case types.FunctionType(), types.FunctionType():
            return then.__code__ is not now.__code__ or then.__closure__ != now.__closure__
    if isinstance(then, SCALARS) and isinstance(now, SCALARS):
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
