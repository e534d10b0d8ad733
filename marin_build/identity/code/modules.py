"""Modules as their files say: what they define and import. Nothing is imported to find out.

So the answer does not depend on what has been imported yet: a step that imports late has the
same code before and after it ran.
"""

from __future__ import annotations

import ast
import os
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.identity.code.references import chain_of, root_of
from marin_build.identity.code.scopes import Import, imports_of
from marin_build.identity.code.syntax import parsed
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(slots=True, eq=False)
class Module:
    """A first-party module, package or folder of them.

    Args:
        name: as it is imported.
        file: where it is read; a folder for a package without `__init__.py`.
        folders: where its submodules lie.

    """

    name: str
    file: str
    folders: tuple[str, ...]
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, list[Import]] = field(default_factory=dict)
    stars: list[Import] = field(default_factory=list)
    typing_only: set[str] = field(default_factory=set)
    """Names that only type checkers import."""

    @property
    def folder(self) -> str:
        """The folder its relative imports start from."""
        return self.file if self.file in self.folders else os.path.dirname(self.file)

    @property
    def package(self) -> str:
        """The name its relative imports start from."""
        return self.name if self.folders else self.name.rpartition(".")[0]


def read_module(name: str, file: str, folders: Sequence[str] = ()) -> Module:
    """Return the module a file holds; an unreadable one defines nothing."""
    return module_of(parsed(file), name, file, folders)


def module_of(tree: ast.Module | None, name: str, file: str, folders: Sequence[str] = ()) -> Module:
    """Return the module with a syntax tree; without one it defines nothing."""
    module = Module(name, file, tuple(folders))
    if tree is not None:
        _collect(module, tree.body, ())
        for statement in _statements(tree.body):
            _collect_uses(module, statement)
    return module


def _collect(module: Module, body: Iterable[ast.stmt], tests: tuple[ast.expr, ...]) -> None:
    """Collect what statements of a module bind; `tests` are the conditions they stand under."""
    for statement in body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                _collect_import(module, statement)
            case ast.If(test=test) if _is_typing(test):
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        module.typing_only.update(imports_of(inner))
                _collect(module, statement.orelse, tests)
            case ast.If(test=test):
                _collect(module, statement.body, (*tests, test))
                negated = ast.UnaryOp(op=ast.Not(), operand=test)
                _collect(module, statement.orelse, (*tests, negated))
            case ast.Try() | ast.TryStar():
                handled = [item for handler in statement.handlers for item in handler.body]
                for part in (statement.body, handled, statement.orelse, statement.finalbody):
                    _collect(module, part, tests)
            case ast.With():
                _collect(module, statement.body, tests)
                _define(module, _targets(statement.items), statement, tests)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                _define(module, [statement.name], statement, tests)
            case (
                ast.Assign() | ast.AnnAssign() | ast.AugAssign()
                | ast.For() | ast.While() | ast.Match()
            ):  # fmt: skip
                _define(module, _bound_by(statement), statement, tests)
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Import | ast.ImportFrom):
                        _collect_import(module, inner)
            case ast.stmt() if type(statement).__name__ == "TypeAlias":  # Python 3.12
                _define(module, [statement.name.id], statement, tests)  # type: ignore[attr-defined]


def _collect_import(module: Module, statement: ast.Import | ast.ImportFrom) -> None:
    for name, imported in imports_of(statement).items():
        if name == "*":
            module.stars.append(imported)
        else:
            module.imports.setdefault(name, []).append(imported)


def _define(
    module: Module, names: Iterable[str], statement: ast.stmt, tests: tuple[ast.expr, ...]
) -> None:
    for test in reversed(tests):
        statement = ast.If(test=test, body=[statement], orelse=[])
    for name in dict.fromkeys(names):
        module.definitions.setdefault(name, []).append(statement)


def _collect_uses(module: Module, statement: ast.stmt) -> None:
    """Collect what changes a name of the module: `TABLE.update(...)`, `@TABLE.register`."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        changed = [statement.value.func]
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        changed = [d.func if isinstance(d, ast.Call) else d for d in statement.decorator_list]
    else:
        return
    for expression in changed:
        name = chain_of(expression)
        if len(name) > 1 and (known := module.definitions.get(name[0])) and statement not in known:
            known.append(statement)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, those in conditions included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.TryStar | ast.With | ast.For | ast.While):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, name, ()))


def _bound_by(statement: ast.stmt) -> list[str]:
    """Return the names a statement assigns, or whose items or attributes it assigns."""
    found: list[str] = []
    for node in ast.walk(statement):
        match node:
            case ast.Assign(targets=targets):
                found.extend(_targets(targets))
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                found.extend(_targets([target]))
            case ast.For(target=target):
                found.extend(_targets([target]))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.append(node.name)
            case ast.Call(func=ast.Attribute(value=value)) if not isinstance(
                statement, ast.Assign | ast.AnnAssign | ast.AugAssign
            ):
                found.extend(_targets([value]))
    return found


def _targets(targets: Iterable[ast.AST]) -> list[str]:
    found: list[str] = []
    for target in targets:
        match target:
            case ast.Tuple(elts=items) | ast.List(elts=items):
                found.extend(_targets(items))
            case ast.withitem(optional_vars=value):
                found.extend(_targets([value] if value is not None else []))
            case _:
                root = root_of(target)
                if isinstance(root, ast.Name):
                    found.append(root.id)
    return found


def _is_typing(test: ast.expr) -> bool:
    return bool(names := chain_of(test)) and names[-1] == "TYPE_CHECKING"
