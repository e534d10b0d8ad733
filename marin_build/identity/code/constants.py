"""Whether a constant of a module is all in its source, or computed from something else on import.

LIMIT = 3 * BASE                        its source says it
WORDS = frozenset("a b".split())        so it does: these functions know nothing else
N = int(os.environ["N"])                not this: another process may have another value
"""

from __future__ import annotations

import ast
import builtins
import pathlib
from typing import TYPE_CHECKING

from marin_build.identity.code.references import Chain, chain_of
from marin_build.identity.code.resolve import Definition, External

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.identity.code.modules import Module
    from marin_build.identity.code.resolve import Resolver


_Def = ast.FunctionDef | ast.AsyncFunctionDef
_OURS = "marin_build"
_IMPURE_BUILTINS = {
    "open", "input", "id", "hash", "eval", "exec", "compile", "globals", "locals", "vars",
    "__import__", "breakpoint",
}  # fmt: skip
_BUILTINS = set(dir(builtins)) - _IMPURE_BUILTINS
_METHODS = {
    *dir(str), *dir(bytes), *dir(dict), *dir(list), *dir(set), *dir(int), *dir(float),
    *dir(pathlib.PurePath), "resolve", "absolute",
}  # fmt: skip
"""Methods of plain values, and those of paths that read no file."""
_PURE = (
    "abc", "collections", "contextvars.ContextVar", "copy", "dataclasses", "datetime.date",
    "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone", "decimal",
    "enum", "fractions", "functools", "itertools", "json.dumps", "json.loads",
    "logging.getLogger", "math", "operator", "pathlib.Path", "pathlib.PurePath",
    "pathlib.PurePosixPath", "pydantic.ConfigDict", "pydantic.Field", "pydantic.PrivateAttr",
    "pydantic.TypeAdapter", "pydantic.create_model", "re", "statistics", "string",
    "struct", "textwrap", "threading", "types", "typing", "typing_extensions", "uuid.UUID",
    "zoneinfo.ZoneInfo", _OURS,
)  # fmt: skip
"""Functions of other modules that return the same value for the same arguments."""
_CLOCKS = ("now", "today", "utcnow", "cwd", "home", "uuid1", "uuid4")
_OUTSIDE = (
    "os.environ", "os.environb", "sys.argv", "sys.orig_argv", "sys.path", "sys.stdin",
    "sys.modules", "sys.flags",
)  # fmt: skip
"""Values of other modules that differ from process to process."""
_MAKES = {"__init__", "__new__", "__post_init__"}


def is_computed(
    resolver: Resolver, module: Module, nodes: Iterable[ast.AST], done: set[ast.AST] | None = None
) -> bool:
    """Return whether the value that statements give a name is not in the project's source.

    Args:
        resolver: finds what names stand for.
        module: where the statements stand.
        nodes: the statements; of functions and classes only the conditions around them.
        done: definitions that were looked at already.

    """
    look = _Look(resolver, set() if done is None else done)
    return any(look.at(module, node) for node in nodes)


class _Look:
    def __init__(self, resolver: Resolver, done: set[ast.AST]) -> None:
        self.resolver = resolver
        self.done = done

    def at(self, module: Module, node: ast.AST) -> bool:
        """Return whether a statement of a module reads what is not source."""
        while isinstance(node, ast.If):
            if self._inside(module, node.test):
                return True
            node = node.body[0]
        return not isinstance(node, _Def | ast.ClassDef) and self._inside(module, node)

    def _inside(self, module: Module, node: ast.AST) -> bool:
        pending = [node]
        while pending:
            inner = pending.pop()
            if isinstance(inner, ast.Lambda):  # is called later, if at all
                continue
            if isinstance(inner, ast.Await) or self._reads_outside(module, inner):
                return True
            if isinstance(inner, ast.Call) and self._calls_outside(module, inner.func):
                return True
            pending.extend(ast.iter_child_nodes(inner))
        return False

    def _reads_outside(self, module: Module, node: ast.AST) -> bool:
        names = chain_of(node)
        if not names or (names[0] not in module.imports and not module.stars):
            return False
        found = self.resolver.resolve(module, Chain(names))
        return any(isinstance(item, External) and _begins(item.name, _OUTSIDE) for item in found)

    def _calls_outside(self, module: Module, function: ast.expr) -> bool:
        names = chain_of(function)
        if not names:  # a method of what is looked at by itself, or an item of a table
            return isinstance(function, ast.Attribute) and function.attr not in _METHODS
        if names[0] not in module.definitions and names[0] not in module.imports:
            if len(names) == 1 and not module.stars:
                return names[0] not in _BUILTINS
            if not module.stars:
                return names[-1] not in _METHODS and names[0] not in _BUILTINS
        for item in self.resolver.resolve(module, Chain(names)):
            match item:
                case External(name=name):
                    if not _begins(name, _PURE) or name.rpartition(".")[2] in _CLOCKS:
                        return True
                case Definition(module=where, name=name):
                    called = "" if names[-1] == name else names[-1]
                    if any(self._makes_outside(where, d, called) for d in where.definitions[name]):
                        return True
                case _:
                    return True
        return False

    def _makes_outside(self, module: Module, node: ast.AST, called: str = "") -> bool:
        """Return whether calling what a statement defines may read what is not source.

        Of a class or a constant, `called` may be a method.
        """
        while isinstance(node, ast.If):
            node = node.body[0]
        if not isinstance(node, _Def | ast.ClassDef) and called:
            return called not in _METHODS  # the constant is looked at by itself
        if node in self.done:
            return False
        self.done.add(node)
        if isinstance(node, _Def):
            return any(self._inside(module, inner) for inner in node.body)
        if not isinstance(node, ast.ClassDef):
            return not isinstance(node, ast.Assign) or self._inside(module, node)
        made = [n for n in node.body if isinstance(n, _Def) and n.name in {*_MAKES, called}]
        if any(self._inside(module, inner) for method in made for inner in method.body):
            return True
        return any(self._derives_outside(module, base) for base in node.bases)

    def _derives_outside(self, module: Module, base: ast.expr) -> bool:
        names = chain_of(base.value if isinstance(base, ast.Subscript) else base)
        if len(names) == 1 and names[0] not in module.imports and hasattr(builtins, names[0]):
            return False
        for item in self.resolver.resolve(module, Chain(names)) if names else ():
            match item:
                case External(name=name, is_standard=is_standard):
                    if not is_standard and not _begins(name, (*_PURE, "pydantic.BaseModel")):
                        return True
                case Definition(module=where, name=defined):
                    if any(self._makes_outside(where, one) for one in where.definitions[defined]):
                        return True
        return False


def _begins(name: str, starts: tuple[str, ...]) -> bool:
    return any(name == start or name.startswith(start + ".") for start in starts)
