"""`ArtifactStep(name, version, ..., run, build_config)` -> a `@step(version=...)` function.

What `build_config` writes itself was the artifact's identity, and becomes arguments of the step.
"""

from __future__ import annotations

import ast
import copy
from typing import TYPE_CHECKING

from marin_build.compat.migration.functions import called_function
from marin_build.compat.migration.source_text import CannotMoveError
from marin_build.compat.migration.step_function import (
    KEEPS,
    OUTPUT,
    ConfigText,
    StepText,
    labelled,
    made_by,
    names_read,
)

if TYPE_CHECKING:
    from marin_build.compat.migration.source_text import SourceText

_FIELDS = (
    "name",
    "version",
    "artifact_type",
    "run",
    "build_config",
    "deps",
    "runtime_args",
    "override_path",
)
_NEEDED = ("name", "version", "run", "build_config")


def artifact_step_text(source: SourceText, call: ast.Call, variable: str | None) -> StepText:
    """Return the `@step` function for an ArtifactStep.

    Args:
        source: the file.
        call: `ArtifactStep(...)` in it.
        variable: what it is called in the file, if it is.

    Raises:
        CannotMoveError: it is not simple enough.

    """
    given = _fields_of(call)
    recipe = given["build_config"]
    match recipe:
        case ast.Lambda(
            args=ast.arguments(args=[context], defaults=[]),
            body=ast.Call() | ast.Dict() as config,
        ):
            pass
        case _:
            raise CannotMoveError("its `build_config` is no lambda of `ctx` that makes a config")
    calls, options = called_function(source, given["run"])
    taken = names_read(ast.parse(calls, mode="eval"))
    if isinstance(config, ast.Call):
        taken |= names_read(config.func)
    for _ in range(2):  # the first time tells which names the config keeps
        text = ConfigText(source, config, taken)
        walk = _Recipe(text, context.arg)
        for label, argument in labelled(source, config):
            walk.visit(argument, label)
    _check_dependencies(source, given.get("deps"), walk.steps)
    place = [f"name={source.of(given['name'])}", f"version={source.of(given['version'])}"]
    if "override_path" in given:
        place.append(f"override_output_path={source.of(given['override_path'])}")
    kind = given.get("artifact_type")
    return StepText(
        call,
        variable,
        calls,
        text,
        [*place, KEEPS, *options],
        returns=source.of(kind) if isinstance(kind, ast.Name | ast.Attribute) else "",
    )


def _fields_of(call: ast.Call) -> dict[str, ast.expr]:
    given = dict(zip(_FIELDS, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            raise CannotMoveError("its arguments are computed")
        if keyword.arg not in _FIELDS or keyword.arg == "runtime_args":
            raise CannotMoveError(f"it has `{keyword.arg}`")
        given[keyword.arg] = keyword.value
    if len(call.args) > len(_FIELDS) or not given.keys() >= set(_NEEDED):
        raise CannotMoveError("its arguments are computed")
    return given


def _check_dependencies(source: SourceText, deps: ast.expr | None, used: list[str]) -> None:
    """Refuse a step that needs what its config does not read: it would not wait for it."""
    if isinstance(deps, ast.Tuple | ast.List):
        for each in deps.elts:
            if isinstance(each, ast.Starred):
                each = each.value  # noqa: PLW2901 - what is unpacked
            if not any(source.of(each) in text for text in used):
                raise CannotMoveError(
                    f"it needs `{source.of(each)}`, which its config does not read"
                )
    elif deps is not None:
        inner = deps.args[0] if isinstance(deps, ast.Call) and len(deps.args) == 1 else deps
        names = names_read(inner)
        if not any(names & names_read(ast.parse(text, mode="eval")) for text in used):
            raise CannotMoveError("its `deps` are computed")


class _Recipe:
    """Walks a config, and puts parameters in the place of what it asks its context for."""

    def __init__(self, text: ConfigText, context: str) -> None:
        self.text, self.source, self.context = text, text.source, context
        self.steps: list[str] = []

    def visit(self, node: ast.expr, label: str) -> None:
        """Rewrite an argument of the config."""
        if not self._asks(node):
            self.text.put(node, self.text.value(node, label))
        elif isinstance(node, ast.DictComp | ast.ListComp):
            self._visit_many(node, label)
        else:
            self._visit_part(node, label)

    def _visit_part(self, node: ast.expr, label: str) -> None:
        match node:
            case ast.Attribute() if self._is_own(node):
                self.text.put(node, OUTPUT)
            case ast.Call() if (step := self._step(node)) is not None:
                self.text.put(node, self._parameter(step))
            case ast.JoinedStr():
                self.text.put(node, self._formatted(node))
            case ast.Dict(values=values):
                for value in values:
                    self._visit_inner(value, label)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                for item in items:
                    self._visit_inner(item, label)
            case _:
                raise CannotMoveError(self._why(node))

    def _visit_inner(self, node: ast.expr, label: str) -> None:
        if self._asks(node):
            self._visit_part(node, label)
        else:
            self.text.taken |= names_read(node)

    def _visit_many(self, node: ast.DictComp | ast.ListComp, label: str) -> None:
        step = self._step(made_by(node))
        if step is None:
            raise CannotMoveError(self._why(made_by(node)))
        self.steps.append(self.text.put_many(node, label, step))

    def _formatted(self, node: ast.JoinedStr) -> str:
        """Return an f-string with parameters in it; Python 3.11 does not tell places inside it."""
        made = copy.deepcopy(node)
        for part, original in zip(made.values, node.values, strict=True):
            if isinstance(part, ast.FormattedValue) and isinstance(original, ast.FormattedValue):
                value = original.value
                if self._is_own(value):
                    part.value = ast.Name(OUTPUT)
                elif (step := self._step(value)) is not None:
                    part.value = ast.Name(self._parameter(step))
                elif self._asks(value):
                    raise CannotMoveError(self._why(value))
                else:
                    self.text.taken |= names_read(value)
        text = ast.unparse(made)
        return f'f"{text[2:-1]}"' if text.startswith("f'") and '"' not in text else text

    def _parameter(self, step: str) -> str:
        self.steps.append(step)
        return self.text.parameter(step if step.isidentifier() else "source", "str", step)

    def _step(self, node: ast.expr) -> str | None:
        """Return the text of the artifact that `ctx.artifact_path(...)` names."""
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="artifact_path"), args=[step]
            ) if name == self.context and not self._asks(step):
                return ast.unparse(step)
        return None

    def _is_own(self, node: ast.expr) -> bool:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="output_path"):
                return name == self.context
        return False

    def _asks(self, node: ast.AST) -> bool:
        return self.context in names_read(node)

    def _why(self, node: ast.AST) -> str:
        """Return why a part of the config cannot be moved."""
        for each in ast.walk(node):
            match each:
                case ast.Attribute(value=ast.Name(id=name), attr=attr) if (
                    name == self.context and attr not in ("output_path", "artifact_path")
                ):
                    return f"its config asks for `{name}.{attr}`"
                case ast.Call(args=args, func=function) if any(
                    isinstance(arg, ast.Name) and arg.id == self.context for arg in args
                ):
                    return f"its config gives `{self.context}` to `{ast.unparse(function)}`"
        return f"`{ast.unparse(node)[:60]}` in its config is computed"
