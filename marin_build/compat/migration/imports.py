"""Imports of a file whose steps were moved: of marin-build what is new, of Marin what is left."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from marin_build.compat.migration.source_text import Edit, marin_imports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.migration.source_text import SourceText

_OURS = "marin_build"
_SPEC, _RUNNER = "StepSpec", "StepRunner"


def import_edits(
    source: SourceText, wanted: Sequence[str], *, has_native_specs: bool
) -> list[Edit]:
    """Return the edits of imports: those at the top that nothing uses go.

    Args:
        source: the file, its steps moved.
        wanted: import statements that it needs.
        has_native_specs: whether StepSpec and StepRunner come from marin-build, too.

    """
    ours: list[str] = []
    edits: list[Edit] = []
    for statement in marin_imports(source.tree):
        if statement.module == _OURS or source.parents[statement] is not source.tree:
            continue
        kept = []
        for alias in statement.names:
            name = alias.asname or alias.name
            if has_native_specs and alias.name in (_SPEC, _RUNNER):
                ours += [ast.unparse(alias)] if source.uses(name) else []
            elif source.uses(name) or _is_listed(source, name):
                kept.append(ast.unparse(alias))
        if len(kept) < len(statement.names):
            edits.append(_with_names(source, statement, kept))
    lines = [*wanted, *([f"from {_OURS} import {', '.join(sorted(ours))}"] if ours else [])]
    text = "".join(f"{line}\n" for line in _joined(lines))
    if not edits:
        at = _after_imports(source)
        return [Edit(at, at, text)]
    first = edits[0]
    return [Edit(first.start, first.end, text + first.text), *edits[1:]]


def _joined(lines: Sequence[str]) -> list[str]:
    """Return import statements; those from marin-build as one."""
    head = f"from {_OURS} import "
    names = sorted({n for x in lines if x.startswith(head) for n in x[len(head) :].split(", ")})
    rest = [line for line in lines if not line.startswith(head)]
    return [*rest, *([head + ", ".join(names)] if names else [])]


def _with_names(source: SourceText, statement: ast.ImportFrom, names: Sequence[str]) -> Edit:
    """Return the edit that leaves some names of an import statement, or none of it."""
    if not names:
        end = source.end(statement)
        return Edit(source.start(statement), end + (source.text[end : end + 1] == "\n"), "")
    text = f"from {statement.module} import {', '.join(names)}"
    if len(text) > 100:  # noqa: PLR2004 - the usual longest line
        lines = "".join(f"    {name},\n" for name in names)
        text = f"from {statement.module} import (\n{lines})"
    return source.replace(statement, text)


def _is_listed(source: SourceText, name: str) -> bool:
    """Return whether a file says in `__all__` that others may import a name from it."""
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets)
        and f'"{name}"' in ast.unparse(node).replace("'", '"')
        for node in source.tree.body
    )


def _after_imports(source: SourceText) -> int:
    imports = [n for n in source.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return source.end(imports[-1]) + 1 if imports else 0
