"""Which names a function, class or comprehension binds itself."""

from __future__ import annotations

import ast
from dataclasses import field
from typing import TYPE_CHECKING, NamedTuple

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


_Def = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Import(NamedTuple):
    """What a name stands for: a module, or an attribute of one. `level` counts leading dots."""

    module: str
    attribute: str | None
    level: int = 0


@dataclass(slots=True)
class Scope:
    """The names of one function, class or comprehension."""

    is_class: bool = False
    is_comprehension: bool = False
    bound: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    imports: dict[str, Import] = field(default_factory=dict)


def imports_of(node: ast.Import | ast.ImportFrom) -> dict[str, Import]:
    """Return what an import statement binds; `*` stands for all names of the module."""
    if isinstance(node, ast.ImportFrom):
        return {
            alias.asname or alias.name: Import(node.module or "", alias.name, node.level)
            for alias in node.names
        }
    return {
        alias.asname or alias.name.partition(".")[0]: Import(
            alias.name if alias.asname else alias.name.partition(".")[0], None
        )
        for alias in node.names
    }


def bound(scope: Scope, body: Iterable[ast.AST]) -> Scope:
    """Add the names that statements bind to a scope, and return it."""
    for node in body:
        _Binder(scope).visit(node)
    return scope


class _Binder(ast.NodeVisitor):
    """Collects the names a function or class binds itself."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.scope.bound.add(node.id)

    def visit_FunctionDef(self, node: _Def | ast.ClassDef) -> None:
        self.scope.bound.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815 - as ast calls them

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Collect nothing: the names of a lambda are its own."""

    def visit_ListComp(self, node: _Comprehension) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.scope.bound.add(inner.target.id)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815 - as ast calls them

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.scope.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.scope.bound.add(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs  # noqa: N815 - as ast calls them

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.scope.bound.add(node.rest)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.scope.imports.update(imports_of(node))

    visit_ImportFrom = visit_Import  # noqa: N815 - as ast calls them

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.outside.update(node.names)

    visit_Nonlocal = visit_Global  # noqa: N815 - as ast calls them
