"""Which functions of an author's modules may be called when these are imported, judged by names.

A function of a module counts as called if its name is read in that module, or as an attribute of
something imported, in code that counts as run. A method counts as called if any attribute of its
name is read. Where modules are used as values, attributes of all values count for functions, too.
"""

from __future__ import annotations

import ast
import os
from dataclasses import field
from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef
_MAKES_STEPS = ("marin_build.step", "marin_build.pipeline.decorator.step")
_FINDS_ANYTHING = frozenset(
    (
        "__import__", "eval", "exec", "globals", "importlib.import_module", "locals", "sys.modules",
        "vars",
    )
)  # fmt: skip
"""Names by which code reaches functions that it does not name."""


@dataclass(slots=True)
class ReadNames:
    """The names that code which runs has read.

    Args:
        bare: file -> names that stand alone.
        of_imports: names of what is imported, and its attributes.
        of_values: attributes of anything else.
        texts: texts that functions are called with.
        is_open: whether any of them may name a function anywhere.

    """

    bare: dict[str, set[str]] = field(default_factory=dict)
    of_imports: set[str] = field(default_factory=set)
    of_values: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    is_open: bool = False

    def may_call(self, name: str, file: str, *, is_method: bool) -> bool:
        """Return whether a function of a file may be called."""
        if name in self.bare.get(file, ()) or name in self.of_imports:
            return True
        if self.is_open and name in self.texts:
            return True
        return (is_method or self.is_open) and name in self.of_values


class Module:
    """A module of the author, with the functions in it that may be called and were not yet.

    Args:
        file: its path.
        tree: its syntax.
        steps: file and first line of each function that builds a step, and is not called before.

    """

    def __init__(self, file: str, tree: ast.Module, steps: set[tuple[str, int]]) -> None:
        self.file, self._tree, self._steps = file, tree, steps
        self.imported = _imported_names(tree)
        self.takes_all = "*" in self.imported
        self._functions = list(self._functions_in(tree.body, is_class=False))

    def at_import(self) -> list[ast.AST]:
        """Return what runs when it is imported."""
        return list(self._tree.body)

    def called(self, read: ReadNames) -> list[ast.AST]:
        """Return the bodies of functions that may be called, each once.

        Python calls methods such as `__init__` by itself, and a decorator what it decorates.
        """
        left, bodies = [], []
        for node, is_method in self._functions:
            is_called_anyway = node.decorator_list or (
                node.name.startswith("__") and node.name != "__hash__"
            )
            if is_called_anyway or read.may_call(node.name, self.file, is_method=is_method):
                bodies += node.body
            else:
                left.append((node, is_method))
        self._functions = [*left, *self._functions_in(bodies, is_class=False)]
        return list(bodies)

    def _functions_in(
        self, nodes: Iterable[ast.AST], *, is_class: bool
    ) -> Iterator[tuple[Function, bool]]:
        """Yield the functions in code, without those in functions, and without those of steps."""
        for node in nodes:
            if isinstance(node, Function):
                if not self._is_step(node):
                    yield node, is_class
            elif not isinstance(node, ast.expr):
                inner = ast.iter_child_nodes(node)
                yield from self._functions_in(
                    inner, is_class=is_class or isinstance(node, ast.ClassDef)
                )

    def _is_step(self, node: Function) -> bool:
        """Return whether a function is called when its step runs, and not before."""
        first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
        return (self.file, first) in self._steps or any(
            dotted(each.func if isinstance(each, ast.Call) else each, self.imported) in _MAKES_STEPS
            for each in node.decorator_list
        )


class NameReader(ast.NodeVisitor):
    """Collects the names that code reads, without those in functions that it defines.

    Args:
        module: the code's.
        modules: the names of the author's modules.
        read: where they are collected.

    """

    def __init__(self, module: Module, modules: frozenset[str], read: ReadNames) -> None:
        self.module, self._modules, self._read = module, modules, read
        self._bare = read.bare.setdefault(module.file, set())

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Look at what runs when a function is defined; its body runs when it is called."""
        self._visit_definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Look at what runs when a function is defined."""
        self._visit_definition(node)

    def _visit_definition(self, node: Function) -> None:
        for each in (*node.decorator_list, node.args):
            self.visit(each)

    def visit_Name(self, node: ast.Name) -> None:
        """Look at a name that is read."""
        if not isinstance(node.ctx, ast.Load):
            return
        self._note_bare(node.id)
        full = self.module.imported.get(node.id, node.id)
        is_module = node.id in self.module.imported and full.rpartition(".")[2] in self._modules
        if is_module or full in _FINDS_ANYTHING:  # a module as a value
            self._read.is_open = True

    def _note_bare(self, name: str) -> None:
        self._bare.add(name)
        if (imported := self.module.imported.get(name)) is not None:
            self._read.of_imports.add(imported.rpartition(".")[2])
        elif self.module.takes_all:
            self._read.of_imports.add(name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Look at an attribute that is read."""
        root = node.value
        while isinstance(root, ast.Attribute):
            root = root.value
        is_imported = isinstance(root, ast.Name) and root.id in self.module.imported
        (self._read.of_imports if is_imported else self._read.of_values).add(node.attr)
        if node.attr == "__dict__" or dotted(node, self.module.imported) in _FINDS_ANYTHING:
            self._read.is_open = True
        if isinstance(node.value, ast.Name):
            self._note_bare(node.value.id)
        else:
            self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Look at a text."""
        if isinstance(node.value, str) and len(node.value) < _LONGEST_NAME:
            self._read.texts.update(node.value.split("."))


_LONGEST_NAME = 200


def names_of_modules(files: Iterable[str]) -> frozenset[str]:
    """Return the last part of the name of each module."""
    found = set()
    for file in files:
        folder, name = os.path.split(file)
        stem = name.partition(".")[0]
        found.add(os.path.basename(folder) if stem == "__init__" else stem)
    return frozenset(found)


def dotted(node: ast.expr, imported: dict[str, str]) -> str:
    """Return the name of a function with its module, where imports tell; `?` stands for a value."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    root = imported.get(node.id, node.id) if isinstance(node, ast.Name) else "?"
    return ".".join([root, *parts])


def _imported_names(tree: ast.Module) -> dict[str, str]:
    """Return what imports anywhere in a module call a name -> what they import."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            module = f"{'.' * node.level}{node.module or ''}"
            for alias in node.names:
                found[alias.asname or alias.name] = f"{module}.{alias.name}"
    return found
