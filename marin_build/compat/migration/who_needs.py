"""Which steps must stay as they are, because something that stays needs them in Marin's form.

A config of Marin's takes only Marin's steps, so what stays keeps all that it needs. The reverse is
no problem: a `@step` function takes steps of Marin's.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.compat.migration.source_text import Left

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.compat.migration.programs import RunCall
    from marin_build.compat.migration.source_text import SourceText

_ALIKE = ("name", "output_path")
"""What all kinds of steps have."""


@dataclass(frozen=True, slots=True)
class Movable:
    """The declarations that can be moved, and those that something keeps."""

    calls: frozenset[ast.Call]
    left: tuple[Left, ...]


def movable_steps(
    source: SourceText, calls: Iterable[ast.Call], program: RunCall | None
) -> Movable:
    """Return which declarations can be moved together.

    Args:
        source: the file.
        calls: declarations that are simple enough, and StepSpecs that are put among them.
        program: the call that runs steps, if it becomes `pipeline()`.

    """
    movable = set(calls)
    left: list[Left] = []
    while True:
        uses = _Uses(source, movable, program)
        found = {call: line for call in movable if (line := uses.kept_by(call)) is not None}
        if not found:
            return Movable(frozenset(movable), tuple(left))
        for call, line in found.items():
            kind = source.marin_name(call.func)
            if kind is None:
                continue  # a StepSpec; rewrite.py reports those of a file together
            why = f"line {line} needs it as the {kind} that it is"
            left.append(Left(call.lineno, source.declared(call), why))
        movable -= found.keys()


class _Uses:
    """Looks where a step goes; each name is followed once."""

    def __init__(
        self, source: SourceText, movable: Iterable[ast.Call], program: RunCall | None
    ) -> None:
        self.source, self.movable = source, frozenset(movable)
        self.read = frozenset(program.read) if program is not None else frozenset()

    def kept_by(self, call: ast.Call) -> int | None:
        """Return the line that needs a step in the form that it has; None: there is none."""
        return self._of_value(call, set())

    def _of_name(self, name: str, seen: set[str]) -> int | None:
        if name in seen:
            return None
        seen.add(name)
        lines = [self._of_value(use, seen) for use in self.source.uses(name)]
        return next((line for line in lines if line is not None), None)

    def _of_value(self, node: ast.expr, seen: set[str]) -> int | None:
        """Follow a value to where it goes, until something that is moved reads it."""
        child: ast.AST = node
        if any(each in self.movable or each in self.read for each in self._around(node)):
            return None
        for parent in self.source.above(node):
            match parent:
                case ast.List() | ast.Tuple() | ast.Dict() | ast.Set() | ast.Starred():
                    pass
                case ast.DictComp(value=made) | ast.ListComp(elt=made) if made is child:
                    pass
                case ast.Attribute(attr=attr) if attr in _ALIKE:
                    return None
                case ast.Call(func=function) if function is child:
                    pass  # a function that returns the step
                case ast.Call() | ast.keyword():
                    return self._of_argument(parent, child, seen, node.lineno)
                case ast.Assign(targets=[ast.Name(id=name)]):
                    return self._of_name(name, seen)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    return self._of_name(name, seen)
                case ast.Return():
                    return self._of_function(parent, seen, node.lineno)
                case _:
                    return node.lineno
            child = parent
        return node.lineno

    def _around(self, node: ast.expr) -> list[ast.AST]:
        """Return a use of a step and what it lies in; a declaration does not lie in itself."""
        above = list(self.source.above(node))
        return above if node in self.movable else [node, *above]

    def _of_function(self, statement: ast.Return, seen: set[str], line: int) -> int | None:
        for each in self.source.above(statement):
            if isinstance(each, ast.FunctionDef):
                return self._of_name(each.name, seen)
        return line

    def _of_argument(
        self, parent: ast.Call | ast.keyword, child: ast.AST, seen: set[str], line: int
    ) -> int | None:
        """Follow an argument into a function of this file."""
        call = self.source.parents[parent] if isinstance(parent, ast.keyword) else parent
        assert isinstance(call, ast.Call)
        name = call.func.id if isinstance(call.func, ast.Name) else None
        for each in self.source.tree.body:
            if isinstance(each, ast.FunctionDef) and each.name == name:
                taken = [argument.arg for argument in each.args.args]
                if isinstance(parent, ast.keyword):
                    return self._of_name(parent.arg, seen) if parent.arg in taken else line
                at = call.args.index(child) if child in call.args else len(taken)
                return self._of_name(taken[at], seen) if at < len(taken) else line
        return line
