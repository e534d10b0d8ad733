"""What a piece of syntax refers to outside itself, and what of it cannot be known."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from marin_build.identity.code.scopes import Import, Scope, bound
from marin_build.identity.code.syntax import parse
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable


_LONGEST = 60
_OPAQUE = {"eval", "exec", "compile", "__import__", "globals", "locals", "vars"}
_BY_NAME = {"getattr", "setattr", "delattr", "hasattr"}
_TWO = 2
_Def = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


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
        elif (table := _picked_from(node.func)) is not None:
            if self._is_parameter(table):
                self._not_seen(node, "which is passed in")
            else:
                self._read((table,), is_picked=True)
        self.generic_visit(node)

    def visit_FunctionDef(self, node: _Def) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        self._function(node.args, node, node.body)
        self._annotation(node.returns)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as ast calls them

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._function(node.args, node, [node.body])

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for part in (*node.decorator_list, *node.bases, *(k.value for k in node.keywords)):
            self.visit(part)
        scope = Scope(is_class=True)
        self._inside(bound(scope, node.body), node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.target)
        self._annotation(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def visit_ListComp(self, node: _Comprehension) -> None:
        self.visit(node.generators[0].iter)
        scope = Scope(is_comprehension=True)
        bound(scope, [generator.target for generator in node.generators])
        parts: list[ast.AST] = []
        for number, generator in enumerate(node.generators):
            parts += [] if number == 0 else [generator.iter]
            parts += [generator.target, *generator.ifs]
        values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self._inside(scope, [*parts, *values])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # noqa: N815 - as ast calls them

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
        bound(scope, body)
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
                    self.visit(parse(inner.value, mode="eval"))
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
        """Return whether a name is an argument of the innermost function that reads it.

        An argument of a function around that one is mostly the function that a decorator gets; the
        code that applies the decorator names it, and is followed there.
        """
        functions = [scope for scope in self.scopes if not scope.is_comprehension]
        return bool(functions) and name in functions[-1].parameters

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


def _picked_from(node: ast.expr) -> str | None:
    """Return the table that `TABLE[key]` or `TABLE.get(key)` picks from, or None."""
    is_get = (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"get", "pop"}
    )
    root = root_of(node) if is_get or isinstance(node, ast.Subscript) else None
    return root.id if isinstance(root, ast.Name) else None
