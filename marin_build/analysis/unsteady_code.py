"""Places in an author's code that read clocks or draw random numbers, and Python does not tell.

`datetime.now` is a method of a C class: nothing reports that it is called, and nothing can be put
in its place. The same holds of libraries that read files in C++. So the author's code that was run
is searched for such names, but not the functions of steps and what only they call: those run later.
Whether a function was called is judged by its name alone (reachable_code.py), so that rather too
much is refused.
"""

from __future__ import annotations

import ast
from types import CodeType
from typing import TYPE_CHECKING, Any

from marin_build.analysis.reachable_code import (
    Module,
    NameReader,
    ReadNames,
    dotted,
    names_of_modules,
)
from marin_build.analysis.unsteady_names import (
    NATIVE_READERS,
    RANDOM_MODULES,
    READS,
    SEEDS,
    TIMES_IN_WORDS,
    UNSTEADY_BUILTINS,
    UNSTEADY_MODULES,
    UNSTEADY_WITHOUT_SEED,
    WHOLE_FUNCTIONS,
    is_suspicious,
    what_it_does,
)
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.graph import steps_below

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.pipeline.load import Pipeline

Place = tuple[str, str, int]
"""What code does, to stand after its subject; the file and the line."""
_CALLED_BY_LOADING = ("pipeline",)
_MOST_WRAPPED = 20
_TAKES_NAMES = ("getattr", "attrgetter", "methodcaller", "__getattribute__")
"""Functions that take the name of a function."""


def unsteady_place(codes: Iterable[CodeType], pipeline: Pipeline) -> Place | None:
    """Return the first such place in the code that loading a pipeline ran; None if there is none.

    Args:
        codes: the author's code that was run, of modules and of texts.
        pipeline: what was loaded.

    """
    named = [(code, _names_in(code)) for code in codes]
    if not any(names for _, names in named):
        return None
    files: dict[str, ast.Module] = {}
    for code, names in named:
        if code.co_filename.startswith("<"):
            if names:
                return f"runs a text as code that names `{min(names)}`", pipeline.file, 1
            continue
        tree = _tree_of(code.co_filename)
        if tree is None:
            return "runs code whose source cannot be read", code.co_filename, 1
        files[code.co_filename] = tree
    called = {*_CALLED_BY_LOADING, pipeline.module.wanted or ""}
    return _first_place(files, called, _lines_of_steps(pipeline))


def _names_in(code: CodeType) -> set[str]:
    """Return the names that code and the functions in it mention and that must be looked at."""
    found: set[str] = set()
    left = [code]
    while left:
        code = left.pop()
        found.update([name.partition(".")[0] for name in code.co_names])  # of an import, its top
        for constant in code.co_consts:
            if isinstance(constant, CodeType):
                left.append(constant)
            elif isinstance(constant, str):
                found.add(constant.rpartition(".")[2])  # attrgetter("datetime.now")
    return {name for name in found if is_suspicious(name)}


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
    modules = [Module(file, tree, steps) for file, tree in files.items()]
    names = names_of_modules(files)
    read = ReadNames(of_imports=set(called))
    looks = [_Look(module, names, read) for module in modules]
    reached = [(look, node) for look in looks for node in look.module.at_import()]
    while reached:
        for look, node in reached:
            look.visit(node)
        reached = [(look, node) for look in looks for node in look.module.called(read)]
    is_seeded = any(look.is_seeded for look in looks)
    places = [place for look in looks for place in look.places]
    for needs_seed, place in sorted(places, key=lambda each: each[1][1:]):
        if not (needs_seed and is_seeded):
            return place
    return None


class _Look(NameReader):
    """Looks at code that runs: what it names, and what of it is unsteady."""

    def __init__(self, module: Module, modules: frozenset[str], read: ReadNames) -> None:
        super().__init__(module, modules, read)
        self.places: list[tuple[bool, Place]] = []
        self.is_seeded = False

    def visit_Import(self, node: ast.Import) -> None:  # noqa: N802 - as ast calls it
        """Look at an import."""
        for alias in node.names:
            if alias.name.partition(".")[0] in UNSTEADY_MODULES:
                self._note(node, f"imports `{alias.name}`")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:  # noqa: N802 - as ast calls it
        """Look at an import."""
        module = node.module or ""
        if node.level == 0 and module.partition(".")[0] in UNSTEADY_MODULES:
            self._note(node, f"imports `{module}`")

    def visit_Name(self, node: ast.Name) -> None:  # noqa: N802 - as ast calls it
        """Look at a name that is read."""
        super().visit_Name(node)
        if isinstance(node.ctx, ast.Load):
            self._judge(node, self.module.imported.get(node.id, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: N802 - as ast calls it
        """Look at an attribute that is read."""
        super().visit_Attribute(node)
        self._judge(node, dotted(node, self.module.imported))

    def visit_Call(self, node: ast.Call) -> None:  # noqa: N802 - as ast calls it
        """Look at a call."""
        name = dotted(node.func, self.module.imported)
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
            if last in _TAKES_NAMES:
                self._read.of_imports.update(text.split("."))
                self._judge(node, f"?.{text}")
        top = name.partition(".")[0]
        if top in NATIVE_READERS and last.startswith(READS):
            self._note(node, f"calls `{name}`, and what that reads cannot be seen")
        self.generic_visit(node)

    def _judge(self, node: ast.expr, name: str) -> None:
        module, _, last = name.rpartition(".")
        if name in WHOLE_FUNCTIONS:
            self._note(node, WHOLE_FUNCTIONS[name])
        elif module and (does := what_it_does(last)) is not None:
            self._note(node, does)
        elif module in RANDOM_MODULES and last in RANDOM_MODULES[module]:
            self._note(node, f"draws random numbers (`{name}`)", needs_seed=True)

    def _note(self, node: ast.AST, reason: str, *, needs_seed: bool = False) -> None:
        line = getattr(node, "lineno", 1)
        self.places.append((needs_seed, (reason, self.module.file, line)))


def _text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None
