"""What a step's code is: the normalised syntax of its function, and the values it captured.

Comments, docstrings and formatting do not count. Two uses: the digest that a record keeps and a
plan pins, and the question whether two steps of equal identity really do the same.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import types
from typing import TYPE_CHECKING, Any

from marin_build.canonical import canonical_text, freeze
from marin_build.errors import MarinBuildError

if TYPE_CHECKING:
    from collections.abc import Callable

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def code_digest(fn: object) -> str:
    """Return the digest of the code of a step's `fn`: 64 hex digits.

    The function itself is covered, and functions it captured or wraps; functions it merely calls
    by name are not.
    """
    return hashlib.sha256(describe(fn, _unseen).encode("utf-8", "surrogatepass")).hexdigest()


def same_code(one: object, other: object) -> bool:
    """Return whether two steps' `fn` do the same: equal code and equal captured values."""
    return one is other or describe(one, _exact) == describe(other, _exact)


def describe(
    value: object, opaque: Callable[[object], str], seen: dict[int, int] | None = None
) -> str:
    """Return a text that is equal for equal code.

    Args:
        value: a function or anything a function can capture.
        opaque: gives the text of a value that has neither code nor canonical form.
        seen: functions that were described already, by identity: each is described once.

    """
    from marin_build.bound_call import BoundCall
    from marin_build.commands import Command
    from marin_build.remote_callable import local_function
    from marin_build.step_spec import StepSpec

    seen = {} if seen is None else seen
    inner = functools.partial(describe, opaque=opaque, seen=seen)
    value = local_function(value)  # where it runs is no part of what it does
    match value:
        case None:
            return "nothing"
        case Command(text=text):
            return f"command {text!r}"
        case BoundCall(function=function):
            return f"call {inner(function)}"
        case StepSpec():
            return f"step {value.target_id}"
        case functools.partial(func=func, args=args, keywords=keywords):
            given = [inner(arg) for arg in (*args, *(v for _, v in sorted(keywords.items())))]
            return f"partial {inner(func)} {sorted(keywords)} {given}"
        case types.MethodType(__func__=func, __self__=owner):
            return f"method {inner(func)} of {inner(owner)}"
        case types.FunctionType() if id(value) in seen:
            return f"function {seen[id(value)]} again"
        case types.FunctionType():
            seen[id(value)] = len(seen)
            captured = [f"{name}={inner(item)}" for name, item in _captured(value)]
            return f"{_syntax(value.__code__)} {captured}"
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


def _unseen(value: object) -> str:
    return f"unseen {type(value).__module__}.{type(value).__qualname__}"


def _exact(value: object) -> str:
    return f"object {id(value)}"


def _captured(function: types.FunctionType) -> list[tuple[str, object]]:
    """Return what a function holds besides its code: closure cells and defaults."""
    found: list[tuple[str, object]] = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            found.append((name, "empty cell"))
    found.extend((f"default {i}", value) for i, value in enumerate(function.__defaults__ or ()))
    found.extend(sorted((function.__kwdefaults__ or {}).items()))
    return found


def _syntax(code: types.CodeType) -> str:
    """Return the normalised syntax of a function, or its bytecode where there is no source."""
    # Code objects of two files are equal if their bytecode is: the file must be in the key.
    return _syntax_in(code.co_filename, code)


@functools.cache
def _syntax_in(_file: str, code: types.CodeType) -> str:
    node = _node_of(code)
    if node is None:
        nested = [_constant(const) for const in code.co_consts]
        return f"bytecode {code.co_code.hex()} {code.co_names} {nested}"
    return ast.dump(_Normaliser().visit(node))


def _constant(const: object) -> str:
    match const:
        case types.CodeType():
            return _syntax(const)
        case frozenset():
            return (
                f"frozenset {sorted(map(repr, const))}"  # its own order changes with the hash seed
            )
        case tuple():
            return f"tuple {[_constant(item) for item in const]}"
    return repr(const)


class _Normaliser(ast.NodeTransformer):
    """Removes what is not code: docstrings, annotations of arguments stay (they select values)."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body: Any = getattr(node, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ):
            first = body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
        return node


def _node_of(code: types.CodeType) -> _Function | None:
    """Return the syntax node a code object was compiled from."""
    candidates = _functions_in(code.co_filename).get(code.co_firstlineno, [])
    named = [n for n in candidates if getattr(n, "name", "<lambda>") == code.co_name]
    if len(named) > 1:  # several lambdas in one line: told apart by where their bodies stand
        columns = {
            (line, column)
            for line, _, column, _ in code.co_positions()
            if line is not None and column is not None
        }
        named = [n for n in named if isinstance(n, ast.Lambda) and _start(n.body) in columns]
    return named[0] if len(named) == 1 else None


def _start(node: ast.expr) -> tuple[int, int]:
    leftmost = min(
        (n for n in ast.walk(node) if isinstance(n, ast.expr)),
        key=lambda n: (n.lineno, n.col_offset),
    )
    return leftmost.lineno, leftmost.col_offset


@functools.cache
def _functions_in(file: str) -> dict[int, list[_Function]]:
    """Return the functions of a file by the line their code object starts at."""
    try:
        with open(file, "rb") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[int, list[_Function]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            line = min([node.lineno, *(d.lineno for d in decorators)])
            found.setdefault(line, []).append(node)
    return found
