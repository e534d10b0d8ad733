"""What a piece of syntax refers to outside itself, and what of it cannot be known."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 60
_OPAQUE = {"eval", "exec", "compile", "__import__", "globals", "locals", "vars"}
_BY_NAME = {"getattr", "setattr", "delattr", "hasattr"}
_OPAQUE_MODULES = {"importlib", "pkgutil", "runpy", "imp"}
_TWO = 2
_Def = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Import(NamedTuple):
    """What a name stands for: a module, or an attribute of one. `level` counts leading dots."""

    module: str
    attribute: str | None
    level: int = 0


class Chain(NamedTuple):
    """A dotted name that is read: `helpers.text.clean` is ("helpers", "text", "clean")."""

    names: tuple[str, ...]
    imported: Import | None = None
    """Where the first name comes from, if the piece itself imports it."""
    in_annotation: bool = False
    is_picked: bool = False
    """Whether an item of it is called: `TABLE[key](...)`."""


@dataclass(frozen=True, slots=True)
class References:
    """All chains of a piece, in the order they stand; `free` are those of captured names."""

    chains: tuple[Chain, ...]
    free: tuple[Chain, ...]
    unseen: tuple[str, ...]


@dataclass(slots=True)
class Scope:
    """The names of one function, class or comprehension."""

    is_class: bool = False
    bound: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    parameters: set[str] = field(default_factory=set)
    imports: dict[str, Import] = field(default_factory=dict)


def references(nodes: Iterable[ast.AST], free: Iterable[str] = ()) -> References:
    """Return what `nodes` read that they do not define.

    Args:
        nodes: statements of a module, or a function nested in one.
        free: names a nested function captures: what they are is known only by their values.

    """
    finder = _Finder(frozenset(free))
    for node in nodes:
        finder.visit(node)
    return References(tuple(finder.chains), tuple(finder.free_chains), tuple(finder.unseen))


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


def modules_of(node: ast.AST) -> list[str]:
    """Return all modules that import statements in a node name without dots."""
    found: list[str] = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import):
            found.extend(alias.name for alias in inner.names)
    return found


def chain_of(node: ast.AST) -> tuple[str, ...]:
    """Return the dotted name an expression is, or an empty tuple."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return (node.id, *reversed(names))


def root_of(node: ast.AST) -> ast.AST:
    """Return what an expression of attributes, items and calls begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


class _Binder(ast.NodeVisitor):
    """Collects the names a function or class binds itself."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.scope.bound.add(node.id)

    def visit_FunctionDef(self, node: _Def | ast.ClassDef) -> None:
        self.scope.bound.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        """Its names are its own."""

    def visit_ListComp(self, node: _Comprehension) -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.NamedExpr):
                self.scope.bound.add(inner.target.id)

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.scope.bound.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self.scope.bound.add(node.name)
        self.generic_visit(node)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self.scope.bound.add(node.rest)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.scope.imports.update(imports_of(node))

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> None:
        self.scope.outside.update(node.names)

    visit_Nonlocal = visit_Global


class _Finder(ast.NodeVisitor):
    """Walks a piece with the scopes that are open, and notes what is read from outside."""

    def __init__(self, free: frozenset[str]) -> None:
        self.free = free
        self.scopes: list[Scope] = []
        self.in_annotation = False
        self.chains: dict[Chain, None] = {}
        self.free_chains: dict[Chain, None] = {}
        self.unseen: dict[str, None] = {}

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read((node.id,))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        names = chain_of(node)
        if names:
            self._read(names)
        else:
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        names, arguments = chain_of(node.func), node.args
        if len(names) == 1 and not self._is_bound(names[0]):
            if names[0] in _OPAQUE:
                self._not_seen(node)
            elif names[0] in _BY_NAME and len(arguments) >= _TWO:
                self._attribute_by_name(node, arguments[0], arguments[1])
        elif len(names) == 1 and self._is_parameter(names[0]):
            self._not_seen(node, "which is passed in")
        elif names and self._module_of(names[0]) in _OPAQUE_MODULES:
            self._not_seen(node)
        elif isinstance(node.func, ast.Subscript):
            root = root_of(node.func)
            if isinstance(root, ast.Name):
                if self._is_parameter(root.id):
                    self._not_seen(node, "which is passed in")
                else:
                    self._read((root.id,), is_picked=True)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: _Def) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._function(node.args, node, node.body)
        self._annotation(node.returns)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.visit(part)
        scope = Scope(is_class=True)
        self._inside(_bound(scope, node.body), node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        self._annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_ListComp(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)
        scope = Scope()
        for generator in node.generators:
            _Binder(scope).visit(generator.target)
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [] if number == 0 else [generator.iter]
            parts += [generator.target, *generator.ifs]
        values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(scope, [*parts, *values])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _function(self, args: ast.arguments, node: ast.AST, body: Iterable[ast.AST]) -> None:
        for default in (*args.defaults, *args.kw_defaults):
            if default is not None:
                self.visit(default)
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        every += [arg for arg in (args.vararg, args.kwarg) if arg is not None]
        for arg in every:
            self._annotation(arg.annotation)
        names = {arg.arg for arg in every}
        names |= {p.name for p in getattr(node, "type_params", ())}
        scope = Scope(parameters={arg.arg for arg in every})
        body = list(body)
        _bound(scope, body)
        scope.bound |= names
        self._inside(scope, body)

    def _inside(self, scope: Scope, nodes: Iterable[ast.AST]) -> None:
        self.scopes.append(scope)
        for node in nodes:
            self.visit(node)
        self.scopes.pop()

    def _annotation(self, node: ast.expr | None) -> None:
        if node is None:
            return
        before, self.in_annotation = self.in_annotation, True
        for inner in ast.walk(node):  # "Batch" in quotes is a name, too
            if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                try:
                    self.visit(ast.parse(inner.value, mode="eval"))
                except SyntaxError:
                    continue
        self.visit(node)
        self.in_annotation = before

    def _scope_of(self, name: str) -> Scope | None:
        """Return the scope that binds a name, or None if the module does."""
        for depth, scope in enumerate(reversed(self.scopes)):
            if name in scope.outside:
                continue
            if scope.is_class and depth:
                continue
            if name in scope.bound or name in scope.imports:
                return scope
        return None

    def _is_bound(self, name: str) -> bool:
        return name in self.free or self._scope_of(name) is not None

    def _is_parameter(self, name: str) -> bool:
        """Return whether a name is an argument of the function it is read in.

        Those of a function around it are a decorator's: what it decorates is followed there.
        """
        return bool(self.scopes) and name in self.scopes[-1].parameters

    def _module_of(self, name: str) -> str | None:
        scope = self._scope_of(name)
        imported = scope.imports.get(name) if scope is not None else None
        return imported.module.partition(".")[0] if imported is not None else name

    def _read(self, names: tuple[str, ...], *, is_picked: bool = False) -> None:
        scope = self._scope_of(names[0])
        imported = scope.imports.get(names[0]) if scope is not None else None
        chain = Chain(names, imported, self.in_annotation, is_picked)
        if imported is None and scope is not None:
            return
        if scope is None and names[0] in self.free:
            self.free_chains.setdefault(chain)
        else:
            self.chains.setdefault(chain)

    def _attribute_by_name(self, node: ast.Call, owner: ast.expr, name: ast.expr) -> None:
        if not isinstance(name, ast.Constant):
            self._not_seen(node)
        elif (names := chain_of(owner)) and isinstance(name.value, str):
            self._read((*names, name.value))

    def _not_seen(self, node: ast.expr, why: str = "") -> None:
        text = " ".join(ast.unparse(node).split())
        text = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
        self.unseen.setdefault(f"{text}, {why}" if why else text)


def _bound(scope: Scope, body: Iterable[ast.AST]) -> Scope:
    for node in body:
        _Binder(scope).visit(node)
    return scope
