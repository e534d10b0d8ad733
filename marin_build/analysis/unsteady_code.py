"""Places in an author's code that read clocks or draw random numbers, and Python does not tell.

`datetime.now` is a method of a C class: nothing reports that it is called, and nothing can be put
in its place. The same holds of libraries that read files in C++. So the author's code that was run
is searched for such names, but not the functions of steps and what only they call: those run later.
Whether a function was called is judged by its name alone, so that rather too much is refused.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import TYPE_CHECKING, Any

from marin_build.analysis.unsteady_names import (
    ALL_NAMES,
    NATIVE_READERS,
    RANDOM_MODULES,
    READS,
    SEEDS,
    TIMES_IN_WORDS,
    UNSTEADY_ANYWHERE,
    UNSTEADY_BUILTINS,
    UNSTEADY_MODULES,
    UNSTEADY_WITHOUT_SEED,
    WHOLE_FUNCTIONS,
)
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.graph import steps_below

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from marin_build.pipeline.load import Pipeline

Place = tuple[str, str, int]
"""What code does, to stand after its subject; the file and the line."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_CALLED_BY_LOADING = ("pipeline",)
_MAKES_STEPS = ("marin_build.step", "marin_build.pipeline.decorator.step")
_MOST_WRAPPED = 20


def unsteady_place(codes: Iterable[CodeType], pipeline: Pipeline) -> Place | None:
    """Return the first such place in the code that loading a pipeline ran; None if there is none.

    Args:
        codes: the author's code that was run, of modules and of texts.
        pipeline: what was loaded.

    """
    named = [(code, _names_in(code)) for code in codes]
    if not any(names & ALL_NAMES for _, names in named):
        return None
    files: dict[str, ast.Module] = {}
    for code, names in named:
        if code.co_filename.startswith("<"):
            if found := names & ALL_NAMES:
                return f"runs a text as code that names `{min(found)}`", pipeline.file, 1
            continue
        tree = _tree_of(code.co_filename)
        if tree is None:
            return "runs code whose source cannot be read", code.co_filename, 1
        files[code.co_filename] = tree
    called = {*_CALLED_BY_LOADING, pipeline.module.wanted or ""}
    return _first_place(files, called, _lines_of_steps(pipeline))


def _names_in(code: CodeType) -> frozenset[str]:
    """Return the names that code and the functions in it mention."""
    found: set[str] = set()
    left = [code]
    while left:
        code = left.pop()
        for name in code.co_names:
            found.add(name.partition(".")[0])  # of what an import names
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                left.append(constant)
            elif isinstance(constant, str) and constant in ALL_NAMES:
                found.add(constant)  # getattr(datetime, "now")
    return frozenset(found)


def _tree_of(file: str) -> ast.Module | None:
    try:
        with open(file, "rb") as stream:
            return ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError):
        return None


def _lines_of_steps(pipeline: Pipeline) -> set[tuple[str, int]]:
    """Return file and first line of each function that builds a step."""
    found: set[tuple[str, int]] = set()
    for step in steps_below(pipeline.roots):
        function: Any = step.fn
        for _ in range(_MOST_WRAPPED):
            if isinstance(function, StandsForFunction):
                function = function.code_function
            else:
                inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
                if inner is None:
                    break
                function = inner
        if (code := getattr(function, "__code__", None)) is not None:
            found.add((code.co_filename, code.co_firstlineno))
    return found


def _first_place(
    files: dict[str, ast.Module], called: set[str], steps: set[tuple[str, int]]
) -> Place | None:
    """Return the first unsteady place in what runs when modules are imported, and what that calls.

    Args:
        files: the modules.
        called: names of functions that are called, too.
        steps: file and first line of the functions that are not.

    """
    modules = {file: _Module(file, tree, steps) for file, tree in files.items()}
    reached = [node for module in modules.values() for node in module.at_import()]
    names = set(called)
    is_seeded, places = False, []
    while reached:
        module, node = reached.pop()
        visit = _Visit(module)
        visit.visit(node)
        is_seeded = is_seeded or visit.is_seeded
        places += visit.places
        names |= visit.names
        for each in modules.values():
            reached += each.functions_called(names)
    for needs_seed, place in sorted(places, key=lambda each: each[1][1:]):
        if not (needs_seed and is_seeded):
            return place
    return None


class _Module:
    """A module of the author, with the functions in it that may be called and were not yet."""

    def __init__(self, file: str, tree: ast.Module, steps: set[tuple[str, int]]) -> None:
        self.file, self._tree, self._steps = file, tree, steps
        self.imported = _imported_names(tree)
        self._functions = list(self._functions_in(tree.body))

    def at_import(self) -> Iterator[tuple[_Module, ast.AST]]:
        """Yield what runs when it is imported."""
        yield from ((self, node) for node in self._tree.body)

    def functions_called(self, names: set[str]) -> list[tuple[_Module, ast.AST]]:
        """Return the bodies of functions that may be called by one of some names, each once.

        Python calls methods such as `__init__` by itself, and a decorator what it decorates.
        """
        called = [
            node
            for node in self._functions
            if node.name in names
            or node.decorator_list
            or (node.name.startswith("__") and node.name != "__hash__")
        ]
        self._functions = [node for node in self._functions if node not in called]
        for node in called:
            self._functions += self._functions_in(node.body)
        return [(self, inner) for node in called for inner in node.body]

    def _functions_in(self, nodes: Iterable[ast.AST]) -> Iterator[_Function]:
        """Yield the functions in code, without those in functions, and without those of steps."""
        left = list(nodes)
        for node in left:  # and what is appended meanwhile
            if not isinstance(node, _Function):
                left += ast.iter_child_nodes(node)
                continue
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if (self.file, first) not in self._steps and not self._is_step(node):
                yield node

    def _is_step(self, node: _Function) -> bool:
        """Return whether a decorator makes a step of a function: it is called when that runs."""
        return any(
            _dotted(each.func if isinstance(each, ast.Call) else each, self.imported)
            in _MAKES_STEPS
            for each in node.decorator_list
        )


class _Visit(ast.NodeVisitor):
    """Looks at code that runs: what it names, and what of it is unsteady."""

    def __init__(self, module: _Module) -> None:
        self._module = module
        self.names: set[str] = set()
        self.places: list[tuple[bool, Place]] = []
        self.is_seeded = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Look at what runs when a function is defined; its body runs when it is called."""
        self._visit_definition(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """Look at what runs when a function is defined."""
        self._visit_definition(node)

    def _visit_definition(self, node: _Function) -> None:
        for each in (*node.decorator_list, node.args):
            self.visit(each)

    def visit_Import(self, node: ast.Import) -> None:
        """Look at an import."""
        for alias in node.names:
            if alias.name.partition(".")[0] in UNSTEADY_MODULES:
                self._note(node, f"imports `{alias.name}`")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Look at an import."""
        module = node.module or ""
        if node.level == 0 and module.partition(".")[0] in UNSTEADY_MODULES:
            self._note(node, f"imports `{module}`")

    def visit_Name(self, node: ast.Name) -> None:
        """Look at a name that is read."""
        if isinstance(node.ctx, ast.Load):
            self.names.add(node.id)
            self._judge(node, self._module.imported.get(node.id, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Look at an attribute that is read."""
        self.names.add(node.attr)
        self._judge(node, _dotted(node, self._module.imported))
        self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        """Look at a call."""
        name = _dotted(node.func, self._module.imported)
        last = name.rpartition(".")[2]
        has_arguments = bool(node.args or node.keywords)
        if name in SEEDS and has_arguments:
            self.is_seeded = True
        if last in UNSTEADY_WITHOUT_SEED and not has_arguments:
            self._note(node, f"draws random numbers (`{last}()` without a seed)")
        if isinstance(node.func, ast.Name) and name in UNSTEADY_BUILTINS:
            self._note(node, f"calls `{name}()`, which differs from process to process")
        for text in (each for each in map(_text_of, node.args) if each is not None):
            if text in TIMES_IN_WORDS:
                self._note(node, f"may read the clock (`{text}`)")
            if last == "getattr":
                self.names.add(text)
                self._judge(node, f"?.{text}")
        top = name.partition(".")[0]
        if top in NATIVE_READERS and last.startswith(READS):
            self._note(node, f"calls `{name}`, and what that reads cannot be seen")
        self.generic_visit(node)

    def _judge(self, node: ast.expr, name: str) -> None:
        module, _, last = name.rpartition(".")
        if name in WHOLE_FUNCTIONS:
            self._note(node, WHOLE_FUNCTIONS[name])
        elif module and last in UNSTEADY_ANYWHERE:
            self._note(node, UNSTEADY_ANYWHERE[last])
        elif module in RANDOM_MODULES and last in RANDOM_MODULES[module]:
            self._note(node, f"draws random numbers (`{name}`)", needs_seed=True)

    def _note(self, node: ast.AST, reason: str, *, needs_seed: bool = False) -> None:
        line = getattr(node, "lineno", 1)
        self.places.append((needs_seed, (reason, self._module.file, line)))


def _text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _dotted(node: ast.expr, imported: dict[str, str]) -> str:
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
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found
