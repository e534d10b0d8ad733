"""The function that a step of Marin's calls, and what it runs on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from marin_build.compat.migration.source_text import CannotMoveError

if TYPE_CHECKING:
    from marin_build.compat.migration.source_text import SourceText


def called_function(source: SourceText, node: ast.expr | None) -> tuple[str, list[str]]:
    """Return the text of the function that does the work, and the options of `@step` for it.

    `remote(fn, resources=...)` is the function with `resources=...`; `name` names its job only.

    Raises:
        CannotMoveError: what it runs on has no place in `@step`.

    """
    match node:
        case None:
            raise CannotMoveError("it has no function")
        case ast.Call(args=[function], keywords=keywords) if (
            source.marin_name(node.func) == "remote"
        ):
            given = {each.arg or "**": each.value for each in keywords}
            given.pop("name", None)  # of the job
            if (resources := given.pop("resources", None)) is None:
                raise CannotMoveError("`remote` names no resources")
            if given:
                raise CannotMoveError(f"`remote` has `{', '.join(given)}`")
            return _named(source, function), [f"resources={source.of(resources)}"]
    return _named(source, node), []


def _named(source: SourceText, node: ast.expr) -> str:
    """Return the text of a function that has a name."""
    if not isinstance(node, ast.Name | ast.Attribute):
        raise CannotMoveError("its function is computed")
    if isinstance(node, ast.Name) and _is_remote(source, node.id):
        raise CannotMoveError(f"`{node.id}` is declared `@remote`, or made by `remote`")
    return source.of(node)


def _is_remote(source: SourceText, name: str) -> bool:
    """Return whether a function of this file is one that runs elsewhere."""
    for node in ast.walk(source.tree):
        match node:
            case ast.FunctionDef(name=found, decorator_list=made_by) if found == name:
                pass
            case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                made_by = [value]
            case _:
                continue
        if any(source.marin_name(each) == "remote" for one in made_by for each in ast.walk(one)):
            return True
    return False
