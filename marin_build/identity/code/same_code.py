"""Whether two functions of one program are the same: objects count by their identity."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.identity.callables import CountsByName, StandsForFunction, local_function
from marin_build.identity.canonical import canonical_text, freeze
from marin_build.identity.code.syntax import bytecode, dump, node_of, normalised
from marin_build.identity.code.values import captured

if TYPE_CHECKING:
    from collections.abc import Callable


def same_code(one: object, other: object) -> bool:
    """Return whether two steps' `fn` do the same: equal code and equal captured values."""
    if one is other:
        return True
    if describe(one, _exact) != describe(other, _exact):
        return False
    from marin_build.identity.code.digest import code_digest

    # The same text in two modules may call two functions of one name.
    return code_digest(one) == code_digest(other)


def describe(
    value: object, opaque: Callable[[object], str], seen: dict[int, int] | None = None
) -> str:
    """Return a text that is equal for equal functions; code they call by name is not looked at.

    Args:
        value: a function or anything a function can capture.
        opaque: gives the text of a value that has neither code nor canonical form.
        seen: functions that were described already, by identity: each is described once.

    """
    seen = {} if seen is None else seen
    inner = functools.partial(describe, opaque=opaque, seen=seen)
    value = local_function(value)  # where it runs is no part of what it does
    match value:
        case None:
            return "nothing"
        case StandsForFunction(code_function=function):
            return f"{type(value).__name__} {inner(function)}"
        case CountsByName(exact_name=name):
            return name
        case functools.partial(func=func, args=args, keywords=keywords):
            given = [inner(arg) for arg in (*args, *(v for _, v in sorted(keywords.items())))]
            return f"partial {inner(func)} {sorted(keywords)} {given}"
        case types.MethodType(__func__=func, __self__=owner):
            return f"method {inner(func)} of {inner(owner)}"
        case types.FunctionType() if id(value) in seen:
            return f"function {seen[id(value)]} again"
        case types.FunctionType():
            seen[id(value)] = len(seen)
            held = [f"{name}={inner(item)}" for name, item in captured(value)]
            return f"{_syntax(value.__code__)} {held}"
        case list() | tuple():
            return f"{type(value).__name__} {[inner(item) for item in value]}"
        case set() | frozenset():
            return f"set {sorted(inner(item) for item in value)}"
        case dict():
            return f"dict {[(inner(key), inner(item)) for key, item in value.items()]}"
        case type():
            return f"class {value.__module__}.{value.__qualname__}"
    if type(value) in (str, int, float, bool):
        return repr(value)
    try:
        return canonical_text(freeze({"value": value}, "captured"))
    except MarinBuildError:
        return opaque(value)


def _exact(value: object) -> str:
    return f"object {id(value)}"


def _syntax(code: types.CodeType) -> str:
    """Return the normalised syntax of a function, or its bytecode where there is no source."""
    # Code objects of two files are equal if their bytecode is: the file must be in the key.
    return _syntax_in(code.co_filename, code)


@functools.cache
def _syntax_in(_file: str, code: types.CodeType) -> str:
    node = node_of(code)
    return bytecode(code) if node is None else dump(normalised(node))
