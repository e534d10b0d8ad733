"""Whether the code that a step reaches still stands in its files as it was read.

A step may import while it runs, and what it starts reads the files again. So they are looked at
again: by stat first, and where a file was written, by what the step reaches of it. Comments and
what other steps reach may change.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from marin_build.identity.code.digest import code_of, reader_of
from marin_build.identity.code.modules import module_of
from marin_build.identity.code.syntax import (
    deeply,
    digest_of_text,
    dump,
    normalised,
    parse_file,
    parsed,
    was_written,
)
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.identity.code.closure import Reader
    from marin_build.identity.code.modules import Module
    from marin_build.identity.code.part import Part


@dataclass(frozen=True, slots=True)
class ReachedCode:
    """The first-party code that the function of a step reaches, as it was read.

    Args:
        reader: read it.
        roots: the parts that were found by an object, not by a name.
        names: the names that lead to all other parts, with the modules that bind them.
        files: which hold it all.

    """

    reader: Reader
    roots: tuple[Part, ...]
    names: frozenset[tuple[Module, str]]
    files: tuple[str, ...]

    def changed(self) -> str:
        """Return the name of something that is not as it was read; empty if all is.

        A file that cannot be read or parsed any more has changed.
        """
        written = {file for file in self.files if was_written(file)}
        if not written:
            return ""
        with_tree = {file: parse_file(file)[0] for file in written}
        return deeply(lambda: self._changed(with_tree))

    def _changed(self, trees: dict[str, ast.Module | None]) -> str:
        fresh: dict[Module, Module] = {}
        for module, name in sorted(self.names, key=lambda pair: (pair[0].file, pair[1])):
            if module.file not in trees:
                continue
            if module not in fresh:
                fresh[module] = module_of(
                    trees[module.file], module.name, module.file, module.folders
                )
            if not self._binds_the_same(module, fresh[module], name):
                return f"{module.name}.{name}"
        for part in self.roots:
            if part.module is not None and part.module.file in trees:
                tree = trees[part.module.file]
                if tree is None or not self._holds(part.module, tree, part):
                    return part.name
        return ""

    def _binds_the_same(self, old: Module, new: Module, name: str) -> bool:
        """Return whether a name stands for the same in a module that was written."""
        before, after = old.definitions.get(name, ()), new.definitions.get(name, ())
        if old.imports.get(name) != new.imports.get(name) or bool(before) != bool(after):
            return False
        if not before:
            return old.imports.get(name) is not None or old.stars == new.stars
        is_step = self.reader.declares_step(old, before)
        if is_step and self.reader.declares_step(old, after):
            return True  # what it is built from is its own identity
        return self._text(old, before) == self._text(old, after)

    def _holds(self, module: Module, tree: ast.Module, part: Part) -> bool:
        """Return whether a function that has no name in its module still stands there."""
        functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
        return any(
            digest_of_text(self._text(module, [node])) == part.digest
            for node in ast.walk(tree)
            if isinstance(node, functions)
        )

    def _text(self, module: Module, nodes: Iterable[ast.AST]) -> str:
        ours = [normalised(node, lambda d: self.reader.is_ours(module, d)) for node in nodes]
        return "\n".join(dump(node) for node in ours)


def reached_code(fn: object, declared_in: str | None = None) -> ReachedCode:
    """Return the code that a step reaches, as it was first read; arguments as for `code_of`."""
    # An installed module, a value of which the function holds, has no parts: it is not watched.
    closures = [closure for _, closure in code_of(fn, declared_in).closures if closure.parts]
    names = {pair for closure in closures for part, _ in closure.parts for pair in part.looked}
    roots: list[Part] = []
    for part in (closure.parts[0][0] for closure in closures):
        if (module := part.module) is None:
            continue
        inside = part.name.removeprefix(f"{module.name}.")
        if inside in module.definitions:
            names.add((module, inside))
        else:
            roots.append(part)
    files = {module.file for module, _ in names}
    files.update(part.module.file for part in roots if part.module is not None)
    read = tuple(sorted(file for file in files if parsed(file) is not None))
    return ReachedCode(reader_of(fn, declared_in), tuple(roots), frozenset(names), read)
