"""The text of an experiment, its syntax tree, and edits that leave all other text as it is."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MARIN = ("marin.", "fray.", "marin_build")


@dataclass(frozen=True, slots=True)
class Left:
    """What stays as it is.

    Args:
        line: where it is, in the file as its author wrote it.
        what: it, in words.
        why: what keeps it from being moved.

    """

    line: int
    what: str
    why: str


class CannotMoveError(Exception):
    """Something stays as it is; the text says why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Other text for a part of a text, given by its offsets."""

    start: int
    end: int
    text: str


def with_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return a text with edits, which do not overlap."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda each: (each.start, each.end)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])


@dataclass(slots=True)
class SourceText:
    """A text with its tree. Lines end in a line feed.

    Args:
        text: of a module.

    Raises:
        SyntaxError: it is no Python.

    """

    text: str
    tree: ast.Module = field(init=False)
    names: dict[str, str] = field(init=False)
    """Local name -> the name that Marin has for it, for all that is imported from Marin."""
    parents: dict[ast.AST, ast.AST] = field(init=False)
    _lines: list[str] = field(init=False)
    _starts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        self._lines = self.text.split("\n")
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }
        self.names = {
            alias.asname or alias.name: alias.name
            for node in marin_imports(self.tree)
            for alias in node.names
        }

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return the offset where a node begins."""
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Return the offset where a node ends."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self._offset(node.end_lineno, node.end_col_offset)

    def of(self, node: ast.expr | ast.stmt) -> str:
        """Return the text of a node."""
        return self.text[self.start(node) : self.end(node)]

    def line_start(self, line: int) -> int:
        """Return the offset where a line begins; lines count from 1."""
        return self._starts[line - 1]

    def indent_of(self, line: int) -> str:
        """Return the white space that a line begins with."""
        text = self._lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    def replace(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        """Return the edit that puts a text in the place of a node."""
        return Edit(self.start(node), self.end(node), text)

    def marin_name(self, node: ast.AST) -> str | None:
        """Return what Marin calls a name, whatever this file calls it; None: it is not Marin's."""
        return self.names.get(node.id) if isinstance(node, ast.Name) else None

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes that a node lies in, the innermost one first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def declared(self, call: ast.Call) -> str:
        """Return what a declaration of a step is called in reports: `ExecutorStep "corpus"`."""
        kind, name = str(self.marin_name(call.func)), name_given(call)
        return f"{kind} {self.of(name)}" if name is not None else kind

    def uses(self, name: str) -> list[ast.Name]:
        """Return all places where a name is read."""
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
        ]

    def comments(self, start: int, end: int) -> list[str]:
        """Return the comments between two offsets."""
        found = []
        for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
            if token.type == tokenize.COMMENT:
                line, column = token.start
                if start <= self._starts[line - 1] + column < end:
                    found.append(token.string)
        return found

    def defines(self, name: str) -> bool:
        """Return whether the module itself gives a name a meaning."""
        return any(name in _defined(node) for node in ast.walk(self.tree))

    def _offset(self, line: int, column: int) -> int:
        """Return an offset in characters; the columns of trees count bytes."""
        before = self._lines[line - 1].encode()[:column].decode()
        return self._starts[line - 1] + len(before)


def name_given(call: ast.Call) -> ast.expr | None:
    """Return the name in a declaration of a step; None if it has none."""
    named = [each.value for each in call.keywords if each.arg == "name"]
    return next(iter([*call.args, *named]), None)


def marin_imports(tree: ast.AST) -> list[ast.ImportFrom]:
    """Return the statements that import from Marin, fray or marin-build."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.level == 0
        and f"{node.module}.".startswith(_MARIN)
    ]


def _defined(node: ast.AST) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
            return {name}
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            return {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
    return set()
