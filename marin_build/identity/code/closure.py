"""A piece of code and all first-party code it reaches by name."""

from __future__ import annotations

import ast
import json
from collections import deque
from dataclasses import field, replace
from typing import TYPE_CHECKING

from marin_build.identity.code.constants import is_computed
from marin_build.identity.code.function_code import Closure, FunctionCode
from marin_build.identity.code.part import Part
from marin_build.identity.code.references import Chain, chain_of, references
from marin_build.identity.code.resolve import Definition, External, Resolver, Unseen
from marin_build.identity.code.scopes import Scope
from marin_build.identity.code.scopes import bound as bind
from marin_build.identity.code.syntax import (
    bytecode,
    deeply,
    digest_of_text,
    dump,
    functions_around,
    node_of,
    normalised,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    import types
    from collections.abc import Iterable, Sequence

    from marin_build.identity.code.modules import Module
    from marin_build.identity.code.part import Kind
    from marin_build.identity.code.resolve import Found
    from marin_build.identity.code.syntax import Function


_OURS = "marin_build"
_STEPS = {"StepSpec", "command", "source"}
_Def = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(slots=True)
class Reader:
    """Reads the code of one project; each file, part and closure once."""

    resolver: Resolver
    _parts: dict[tuple[Module, str], Part] = field(default_factory=dict)
    _closures: dict[Part, Closure] = field(default_factory=dict)
    functions: dict[int, tuple[types.FunctionType, FunctionCode]] = field(default_factory=dict)
    """By the id of a code object: the first function that was read with it."""
    classes: dict[tuple[str, str, str], Closure | None] = field(default_factory=dict)
    """By the arguments of `of_class`: what it returned."""
    _names: dict[Function, frozenset[str]] = field(default_factory=dict)

    def of_function(self, function: types.FunctionType) -> FunctionCode:
        """Return the code of a function, with all it reaches."""
        code = function.__code__
        known = self.functions.get(id(code))
        if known is None:  # the function is kept, so that the id of its code stays its own
            part = self._function(function)
            free = tuple(chain.names for chain in part.free)
            found = FunctionCode(part.short, self.closure(part), bool(part.nodes), free)
            known = self.functions[id(code)] = (function, found)
        return known[1]

    def of_class(self, file: str, module: str, name: str) -> Closure | None:
        """Return the code of a class, with all it reaches.

        Args:
            file, module: where it is defined.
            name: its qualified name.

        Returns:
            None if the source of the module does not define it.

        """
        key = (file, module, name)
        if key not in self.classes:
            where = self.resolver.module_of_file(file, module)
            is_there = name in where.definitions
            self.classes[key] = self.closure(self.defined(where, name)) if is_there else None
        return self.classes[key]

    def defined(self, module: Module, name: str) -> Part:
        """Return the part that a module defines by a name."""
        key = (module, name)
        if key not in self._parts:
            self._parts[key] = self._definition(module, name)
        return self._parts[key]

    def closure(self, part: Part) -> Closure:
        """Return a part and all it reaches."""
        if part not in self._closures:
            self._closures[part] = self._reached(part)
        return self._closures[part]

    def _function(self, function: types.FunctionType) -> Part:
        code = function.__code__  # a decorator may have given the function other names
        where = str(function.__globals__.get("__name__", function.__module__))
        name = f"{where}.{code.co_qualname}"
        node = node_of(code)
        if node is None:
            digest = digest_of_text(bytecode(code))
            return Part(name, "function", digest, (), unseen=(f"{name} has no source",))
        module = self.resolver.module_of_file(code.co_filename, where)
        for top in module.definitions.get(code.co_qualname, ()):
            if any(inner is node for inner in ast.walk(top)):
                return self.defined(module, code.co_qualname)
        free = {*code.co_freevars, *self._names_around(code.co_filename, node)}
        return deeply(lambda: self._part(module, name, [node], free))

    def _names_around(self, file: str, node: Function) -> frozenset[str]:
        """Return the names that the functions around a nested function bind."""
        found = frozenset[str]()
        for outer in functions_around(file).get(id(node), ()):
            if outer not in self._names:
                self._names[outer] = _names_in(outer)
            found |= self._names[outer]
        return found

    def _definition(self, module: Module, name: str) -> Part:
        statements: Sequence[ast.stmt] = module.definitions[name]
        full = f"{module.name}.{name}"
        if self.declares_step(module, statements):
            # A step has an identity of its own; code that names the step only reads its path.
            return Part(full, "constant", digest_of_text(f"step {name}"), ())
        part = deeply(lambda: self._part(module, full, statements, ()))
        if deeply(lambda: is_computed(self.resolver, module, statements)):
            why = f"the value of {full}, which is computed on import"
            return replace(part, unseen=(*part.unseen, why))
        return part

    def _part(
        self, module: Module, name: str, nodes: Sequence[ast.AST], free: Iterable[str]
    ) -> Part:
        clean = [normalised(node, lambda d: self.is_ours(module, d)) for node in nodes]
        names = references(clean, free)
        unseen = [f"{what} (in {name})" for what in names.unseen]
        edges: list[tuple[Found, ...]] = []
        looked: set[tuple[Module, str]] = set()
        for chain in names.chains:
            found = self.resolver.resolve(module, chain, looked)
            edges.append(tuple(found))
            unseen.extend(f"{item.why} (in {name})" for item in found if isinstance(item, Unseen))
            if chain.is_picked and any(_is_open_table(item) for item in found):
                unseen.append(f"an item of {chain.names[0]}, which is called (in {name})")
        digest = digest_of_text("\n".join(dump(node) for node in clean))
        return Part(
            name,
            _kind(nodes[0]),
            digest,
            tuple(clean),
            tuple(edges),
            names.free,
            tuple(dict.fromkeys(unseen)),
            module,
            frozenset(looked),
        )

    def _reached(self, root: Part) -> Closure:
        order: dict[Part, int] = {root: 0}
        via: list[tuple[str, ...]] = [(root.short,)]
        pending, entries, external = deque([root]), [], dict[str, None]()
        while pending:
            part = pending.popleft()
            targets: list[list[int | str]] = []
            for edge in part.edges:
                target: list[int | str] = []
                for item in edge:
                    match item:
                        case Definition(module=module, name=name):
                            reached = self.defined(module, name)
                            if reached not in order:
                                order[reached] = len(order)
                                via.append((*via[order[part]], reached.short))
                                pending.append(reached)
                            target.append(order[reached])
                        case External(top=top, name=dotted, is_standard=is_standard):
                            target.append(dotted)
                            if not is_standard and top != _OURS:
                                external.setdefault(top)
                        case Unseen():
                            target.append("")
                targets.append(target)
            entries.append([part.digest, targets])
        unseen = dict.fromkeys(why for part in order for why in part.unseen)
        return Closure(
            digest_of_text(json.dumps(entries)),
            tuple(zip(order, via, strict=True)),
            tuple(unseen),
            tuple(sorted(external)),
        )

    def is_ours(self, module: Module, expression: ast.expr) -> bool:
        """Return whether an expression is, or calls, something of marin-build."""
        name = chain_of(expression.func if isinstance(expression, ast.Call) else expression)
        found = self.resolver.resolve(module, Chain(name)) if name else []
        return any(isinstance(item, External) and item.top == _OURS for item in found)

    def declares_step(self, module: Module, statements: Sequence[ast.stmt]) -> bool:
        """Return whether statements make a step, whose name then stands for its output."""
        value = getattr(statements[0], "value", None) if len(statements) == 1 else None
        name = chain_of(value.func) if isinstance(value, ast.Call) else ()
        for item in self.resolver.resolve(module, Chain(name)) if name else ():
            match item:
                case External(top="marin_build", name=dotted):
                    return dotted.rpartition(".")[2] in _STEPS
                case Definition(module=where, name=defined):
                    return any(
                        self.is_ours(where, decorator)
                        for node in where.definitions[defined]
                        for decorator in getattr(node, "decorator_list", ())
                    )
        return False


def _kind(node: ast.AST) -> Kind:
    while isinstance(node, ast.If):
        node = node.body[0]
    if isinstance(node, ast.ClassDef):
        return "class"
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    return "function" if is_function else "constant"


def _is_open_table(item: Found) -> bool:
    """Return whether a constant may hold functions that its definition does not name."""
    if not isinstance(item, Definition):
        return False
    statements = item.module.definitions[item.name]
    if len(statements) > 1 or isinstance(statements[0], _Def):
        return False
    value = getattr(statements[0], "value", None)
    if isinstance(value, ast.Dict):
        return not value.keys
    if isinstance(value, ast.List | ast.Tuple):
        return not value.elts
    return True


def _names_in(function: Function) -> frozenset[str]:
    """Return the names that a function binds: those that functions inside it may use."""
    body = [function.body] if isinstance(function, ast.Lambda) else function.body
    scope = bind(Scope(), body)
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a is not None]
    return frozenset(scope.bound.union(scope.imports, (a.arg for a in every)))
