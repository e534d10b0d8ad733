"""`ExecutorStep(name, fn, config)` -> a `@step` function that calls `fn` with the same config.

What is versioned in the config becomes a parameter, and so does each output that it reads.
"""

from __future__ import annotations

import ast
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
    from collections.abc import Mapping, Sequence

    from marin_build.compat.migration.planned_steps import PlannedStep
    from marin_build.compat.migration.source_text import SourceText

_FIELDS = ("name", "fn", "config", "description", "override_output_path", "resources")
_MORE = ("resources", "description")
_OWN = "this_output_path"
_LOOSE = "nonblocking"
_VERSIONED = ("versioned", "ensure_versioned")
_MARKERS = (_OWN, "THIS_OUTPUT_PATH", "output_path_of", *_VERSIONED, "InputName", "mirrored")
_PINNED = "Its folder is that of Marin. When its recipe changes, take away"


def executor_step_text(
    source: SourceText,
    call: ast.Call,
    variable: str | None,
    planned: Sequence[PlannedStep],
    variables: set[str],
    pins: Mapping[str, str],
) -> StepText:
    """Return the `@step` function for an ExecutorStep.

    Args:
        source: the file.
        call: `ExecutorStep(...)` in it.
        variable: what it is called in the file, if it is.
        planned: the targets that it declares.
        variables: what steps are called in the file.
        pins: output path -> fingerprint of the step that lies there, in its new form.

    Raises:
        CannotMoveError: it is not simple enough.

    """
    given = _fields_of(call)
    name = given.get("name")
    if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
        raise CannotMoveError("its name is computed, and with it its folder")
    if len(planned) != 1:
        count = f"{len(planned)} targets" if planned else "no target of the plan"
        raise CannotMoveError(f"it declares {count}: only one folder can be pinned")
    config = given.get("config")
    if not isinstance(config, ast.Call | ast.Dict | ast.List):
        raise CannotMoveError("its config is not written out where the step is declared")
    calls, options = called_function(source, given.get("fn"))
    if "resources" in given:
        options = []  # the step's own go first
    taken = names_read(ast.parse(calls, mode="eval"))
    for _ in range(2):  # the first time tells which names the config keeps
        text = ConfigText(source, config, taken)
        walk = _Config(text, variables, planned[0])
        walk.visit(config, "")
    _check_counts(walk, planned[0])
    notes: list[str] = []
    place = _place(source, given, planned[0], pins)
    if "override_output_path" not in given:
        names = " and ".join(option.partition("=")[0] for option in place)
        notes = [_PINNED, f"{names}."]
    more = [f"{key}={source.of(given[key])}" for key in _MORE if key in given]
    return StepText(
        call,
        variable,
        calls,
        text,
        [f"name={source.of(name)}", *place, *more, KEEPS, *options],
        notes=notes,
    )


def _fields_of(call: ast.Call) -> dict[str, ast.expr]:
    if len(call.args) > len(_FIELDS) or any(isinstance(arg, ast.Starred) for arg in call.args):
        raise CannotMoveError("its arguments are computed")
    given = dict(zip(_FIELDS, call.args, strict=False))
    for keyword in call.keywords:
        if keyword.arg is None:
            raise CannotMoveError("its arguments are computed")
        if keyword.arg not in _FIELDS:
            raise CannotMoveError(f"it has `{keyword.arg}`")
        given[keyword.arg] = keyword.value
    return {key: value for key, value in given.items() if not _is_none(value)}


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _place(
    source: SourceText,
    given: dict[str, ast.expr],
    planned: PlannedStep,
    pins: Mapping[str, str],
) -> list[str]:
    place = given.get("override_output_path")
    if place is not None:
        found = [f"override_output_path={source.of(place)}"]
    elif planned.folder is not None:
        found = [f'override_output_path="{planned.folder}"']
        if planned.output_path in pins:
            found.append(f'expected_fingerprint="{pins[planned.output_path]}"')
    else:
        raise CannotMoveError("its output lies outside the prefix")
    return found


def _check_counts(walk: _Config, planned: PlannedStep) -> None:
    """Refuse a config in which the text shows less than the plan has: a helper put it there."""
    if not walk.has_output:
        raise CannotMoveError("its config does not say where its output goes")
    if walk.versioned != planned.versioned:
        raise CannotMoveError(
            f"{planned.versioned} values of its config are versioned, but {walk.versioned} here"
        )
    if not walk.has_many and walk.dependencies != planned.dependencies:
        raise CannotMoveError(
            f"its config names {planned.dependencies} outputs, but {walk.dependencies} here"
        )


class _Config:
    """Walks a config, and puts parameters in the place of what Marin's executor would resolve."""

    def __init__(self, text: ConfigText, variables: set[str], planned: PlannedStep) -> None:
        self.text, self.source, self.variables = text, text.source, variables
        self.planned = planned
        self.has_output = self.has_many = False
        self.versioned = self.dependencies = 0

    def visit(self, node: ast.expr, label: str) -> None:
        """Rewrite a part of the config, which is given to the parameter `label`."""
        match node:
            case ast.Call(args=args) if self.source.marin_name(node.func) == _OWN:
                self.has_output = True
                self.text.put(node, _joined(OUTPUT, args[0] if args else None))
            case ast.Name() if self.source.marin_name(node) == "THIS_OUTPUT_PATH":
                self.has_output = True
                self.text.put(node, OUTPUT)
            case ast.Call(args=[value]) if self.source.marin_name(node.func) in _VERSIONED:
                if self._marked(value):
                    raise CannotMoveError("a versioned value names the output of a step")
                self.versioned += 1
                self.text.put(node, self.text.value(value, label or self._label(value)))
            case ast.DictComp() | ast.ListComp() if self._marked(node):
                self._visit_many(node, label)
            case ast.Call() if _is_class(node.func):
                self.text.taken |= names_read(node.func)
                for name, argument in labelled(self.source, node):
                    self.visit(argument, name or label)
            case ast.Dict():
                for name, value in labelled(self.source, node):
                    self.visit(value, name or label)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                for item in items:
                    self.visit(item, label)
            case _:
                self._visit_other(node)

    def _label(self, value: ast.expr) -> str:
        """Return the name of a field of another file, if only one versioned field has the value."""
        if not isinstance(value, ast.Constant):
            return ""
        attributes = self.planned.attributes.items()
        paths = [path for path, known in attributes if known == value.value]
        last = paths[0].rpartition(".")[2] if len(paths) == 1 else ""
        return last if last.isidentifier() else ""

    def _visit_other(self, node: ast.expr) -> None:
        found = self._dependency(node)
        if found is not None:
            step, inside = found
            self.dependencies += 1
            self.text.put(node, _joined(self.text.parameter(_called(step), "str", step), inside))
        elif any(isinstance(n, ast.Attribute) and n.attr == _LOOSE for n in ast.walk(node)):
            raise CannotMoveError(
                f"`{_short(self.source.of(node))}`: it does not wait for that step"
            )
        elif self._marked(node):
            raise CannotMoveError(f"`{_short(self.source.of(node))}` in its config is computed")
        else:
            self.text.taken |= names_read(node)

    def _visit_many(self, node: ast.DictComp | ast.ListComp, label: str) -> None:
        """Rewrite a comprehension over the outputs of steps."""
        found = self._dependency(made_by(node))
        if found is None or found[1] is not None:
            raise CannotMoveError(f"`{_short(self.source.of(node))}` in its config is computed")
        self.has_many = True
        self.text.put_many(node, label, found[0])

    def _dependency(self, node: ast.expr) -> tuple[str, ast.expr | None] | None:
        """Return the text of the step whose output an expression names, and the place in it."""
        match node:
            case ast.Call(args=[step, *inside]) if (
                self.source.marin_name(node.func) == "output_path_of" and not node.keywords
            ):
                return self.source.of(step), inside[0] if inside else None
            case ast.BinOp(left=place, op=ast.Div(), right=inside):
                return self._inside(place, inside)
            case ast.Call(func=ast.Attribute(value=place, attr="cd"), args=[inside]):
                return self._inside(place, inside)
            case ast.Call(func=ast.Attribute(value=place, attr="as_input_name"), args=[]):
                return self._dependency(place)
            case ast.Name(id=name) if name in self.variables:
                return name, None
        return None

    def _inside(self, place: ast.expr, inside: ast.expr) -> tuple[str, ast.expr] | None:
        """Return the step and the place in its output, where that is one step into it."""
        found = self._dependency(place)
        return None if found is None or found[1] is not None else (found[0], inside)

    def _marked(self, node: ast.expr) -> bool:
        return any(
            self.source.marin_name(each) in _MARKERS
            or (isinstance(each, ast.Name) and each.id in self.variables)
            for each in ast.walk(node)
        )


def _is_class(node: ast.expr) -> bool:
    """Return whether a name is written as those of classes are; a function may do anything."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name[:1].isupper() or name == "replace"


def _joined(head: str, inside: ast.expr | None) -> str:
    """Return the text of a place in an output."""
    match inside:
        case None:
            return head
        case ast.Constant(value=str(text)) if not set(text) & set("{}\"'\\\n"):
            return f'f"{{{head}}}/{text}"'
    raise CannotMoveError("it names a place in an output that is computed")


def _called(step: str) -> str:
    return step if step.isidentifier() else "source"


def _short(text: str) -> str:
    first = text.partition("\n")[0]
    return first if first == text and len(text) <= 60 else f"{first[:60]} ..."  # noqa: PLR2004
