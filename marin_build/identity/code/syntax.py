"""Syntax, normalised: comments, docstrings and formatting out; the same in each Python version."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import sys
import threading
import time
import types
from typing import TYPE_CHECKING, Any, TypeVar

from marin_build.workspace.file_stamps import FileStamp, lasts, stamp_now, stamp_of
from marin_build.workspace.regular_files import LONGEST_TEXT, open_regular

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")
_DEEP = 50_000
_read_as: dict[str, tuple[FileStamp | None, int]] = {}
"""What each file was when `parsed` read it, and when that was, in ns since the epoch."""
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_LOCATIONS = ("ctx", "kind", "type_comment", "type_ignores")
"""Fields that say nothing: how a string was prefixed, whether a name is read or written."""


def digest_of_text(text: str) -> str:
    """Return the sha-256 of a text, whatever surrogates it holds: 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def dump(node: object) -> str:
    """Return a text that is equal for equal syntax, in Python 3.11 as in 3.13.

    `ast.dump` is not: what a node lacks is written by some versions and left out by others.
    """
    if isinstance(node, ast.Constant):
        return f"Constant({constant(node.value)})"
    if isinstance(node, ast.JoinedStr):  # Python 3.12 ends some formats with an empty text
        parts = [part for part in node.values if getattr(part, "value", None) != ""]
        return f"JoinedStr({dump(parts)})"
    if isinstance(node, ast.AST):
        fields = [
            f"{name}={dump(value)}"
            for name, value in ast.iter_fields(node)
            if name not in _LOCATIONS and value is not None and value != []
        ]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join([dump(item) for item in node])}]"
    return repr(node)


def constant(value: object) -> str:
    """Return the text of a constant of a program."""
    match value:
        case types.CodeType():
            return bytecode(value)
        case frozenset():  # its own order changes with the hash seed
            return f"frozenset {sorted(constant(item) for item in value)}"
        case tuple():
            return f"tuple {[constant(item) for item in value]}"
    return repr(value)


def bytecode(code: types.CodeType) -> str:
    """Return what stands for code without source; another Python version gives another text."""
    nested = [constant(const) for const in code.co_consts]
    return f"bytecode {code.co_code.hex()} {code.co_names} {nested}"


def normalised(node: ast.AST, is_ours: Callable[[ast.expr], bool] = lambda _: False) -> ast.AST:
    """Return a copy of a node without docstrings and without decorators that `is_ours` knows.

    Decorators of marin-build say how a step is declared: its retries and tags are not its code.
    """
    return _without(node, is_ours)  # type: ignore[no-any-return]


def _without(node: Any, is_ours: Callable[[ast.expr], bool]) -> Any:
    if isinstance(node, list):
        return [_without(item, is_ours) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: _without(value, is_ours) for name, value in ast.iter_fields(node)}
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        fields["body"] = [item for item in fields["body"] if not _is_text(item)] or [ast.Pass()]
        fields["decorator_list"] = [
            copy
            for copy, decorator in zip(fields["decorator_list"], node.decorator_list, strict=True)
            if not is_ours(decorator)
        ]
    copy = type(node)(**fields)
    return ast.copy_location(copy, node) if hasattr(node, "lineno") else copy


def _is_text(node: ast.stmt) -> bool:
    """Return whether a statement is a docstring, or a string beside a field that documents it."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def node_of(code: types.CodeType) -> Function | None:
    """Return the syntax node a code object was compiled from, or None without its source."""
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
def parsed(file: str) -> ast.Module | None:
    """Return the syntax tree of a file as it was when it was first asked for."""
    began = time.time_ns()
    tree, stamp = parse_file(file)
    _read_as[file] = stamp, began
    return tree


_parsing = threading.Lock()


def parse(text: str | bytes, mode: str = "exec") -> Any:
    """Return the syntax tree of a text: an `ast.Module`, or another root as `mode` says.

    One thread at a time: Python 3.11 and 3.12 count how deep a tree is for all threads together,
    and raise a SystemError where two of them make trees.

    Raises:
        SyntaxError, ValueError: it is no Python.

    """
    with _parsing:
        return ast.parse(text, mode=mode)


def parse_file(file: str) -> tuple[ast.Module | None, FileStamp | None]:
    """Return the syntax tree of a file as it is now, and what tells that it was written since.

    None for a tree that cannot be had, and for a file that cannot be read.
    """
    stamp = None
    try:
        with open_regular(file) as stream:
            stamp = stamp_of(os.fstat(stream.fileno()))
            return parse(stream.read(LONGEST_TEXT)), stamp
    except (OSError, SyntaxError, ValueError):
        return None, stamp


def was_written(file: str) -> bool:
    """Return whether a file was written since `parsed` read it; False if that did not."""
    return file in _read_as and stamp_now(file) != _read_as[file][0]


def lasting_stamp(file: str) -> FileStamp | None:
    """Return the stamp under which `parsed` read a file, if any later write changes the stamp.

    Raises:
        ValueError: it was not read, or so shortly after it was written that it need not.

    """
    stamp, at = _read_as.get(file, (None, 0))
    if not at or not lasts(stamp, at):
        raise ValueError(f"the stamp of `{file}` does not tell whether it is written again")
    return stamp


@functools.cache
def _functions_in(file: str) -> dict[int, list[Function]]:
    """Return the functions of a file by the line their code object starts at."""
    found: dict[int, list[Function]] = {}
    tree = parsed(file)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
            line = min([node.lineno, *(d.lineno for d in decorators)])
            found.setdefault(line, []).append(node)
    return found


@functools.cache
def functions_around(file: str) -> dict[int, tuple[Function, ...]]:
    """Return the functions that each function of a file stands in, by the id of its node."""
    found: dict[int, tuple[Function, ...]] = {}
    tree = parsed(file)
    pending: list[tuple[ast.AST, tuple[Function, ...]]] = [] if tree is None else [(tree, ())]
    while pending:
        node, around = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found[id(node)] = around
            around = (*around, node)
        pending.extend((child, around) for child in ast.iter_child_nodes(node))
    return found


def deeply(work: Callable[[], T]) -> T:
    """Return what `work` returns; an expression of a thousand terms may need more stack."""
    try:
        return work()
    except RecursionError:
        # Not lowered again: another thread may be deep in the same by then.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _DEEP))
        return work()


def forget_syntax() -> None:
    """Read files anew when they are asked for again."""
    parsed.cache_clear()
    functions_around.cache_clear()
    _read_as.clear()
    _functions_in.cache_clear()
