"""The text of an experiment -> the same pipeline in the words of marin-build, as far as it goes."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from marin_build.compat.migration.artifact_steps import artifact_step_text
from marin_build.compat.migration.executor_steps import executor_step_text
from marin_build.compat.migration.imports import import_edits
from marin_build.compat.migration.planned_steps import declared_in, named_as
from marin_build.compat.migration.programs import (
    VERSION_NAMES,
    needs_version,
    program_edits,
    run_call,
)
from marin_build.compat.migration.source_text import (
    CannotMoveError,
    Left,
    SourceText,
    with_edits,
)
from marin_build.compat.migration.step_function import decorator, edits_of
from marin_build.compat.migration.step_specs import (
    lifted_specs,
    step_spec_calls,
    step_spec_edits,
    without_lifting,
)
from marin_build.compat.migration.who_needs import movable_steps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.compat.migration.planned_steps import PlannedStep
    from marin_build.compat.migration.programs import RunCall
    from marin_build.compat.migration.step_function import StepText

_KINDS = ("ExecutorStep", "ArtifactStep")


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved: its line in the author's file, what it was, and what it is now."""

    line: int
    what: str
    now: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file in its new form.

    Args:
        text: of the file; the same if nothing could be moved.
        moved: what is in another form, in the order of its lines.
        left: what is not, and why.

    """

    text: str
    moved: tuple[Moved, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be moved, and how.

    Args:
        planned: the targets of the file.
        only: names of steps; no other step is moved. Empty: all that can be.
        pins: output path -> fingerprint of a step in its new form: one that gets another one is
            refused. Else nothing would tell that what Marin built there has another recipe.

    """

    planned: Sequence[PlannedStep]
    only: Sequence[str] = ()
    pins: Mapping[str, str] = field(default_factory=dict)


def rewrite(text: str, wanted: Wanted) -> Rewritten:
    """Return an experiment with all that is simple enough in the form of marin-build.

    Args:
        text: the file.
        wanted: what is to be moved.

    Raises:
        SyntaxError: it is no Python.

    """
    source = SourceText(text)
    left: list[Left] = []
    moved: list[Moved] = []
    call = _program(source, left)
    texts = _step_texts(source, wanted, left)
    simple = [each for each, step in texts.items() if step is not None]
    lifted = lifted_specs(source)
    movable = movable_steps(source, [*simple, *lifted], call)
    left += movable.left
    steps = [step for each, step in texts.items() if step is not None and each in movable.calls]
    moved += [Moved(step.call.lineno, source.declared(step.call), "a `@step`") for step in steps]
    text = with_edits(text, [edit for step in steps for edit in edits_of(source, step)])
    if movable.calls.issuperset(lifted):
        text = without_lifting(text)
    if call is not None:
        text = _with_pipeline(text)
        moved.append(Moved(call.node.lineno, f"the call of `{call.runner}`", "`pipeline()`"))
    text = _with_imports(text, source, _Needs(bool(steps), call), moved, left)
    if elsewhere := [step for step in wanted.planned if not step.line]:
        left.append(Left(1, f"{len(elsewhere)} targets", "other files declare them"))
    return Rewritten(text, tuple(sorted(moved, key=_line)), tuple(sorted(left, key=_line)))


def _line(each: Moved | Left) -> int:
    return each.line


def _program(source: SourceText, left: list[Left]) -> RunCall | None:
    """Return the call that runs steps, if it can become `pipeline()`."""
    try:
        call = run_call(source)
    except CannotMoveError as why:
        left.append(Left(_guard_line(source), "the program", str(why)))
        return None
    if call is None:
        return None
    try:
        program_edits(source, call)
    except CannotMoveError as why:
        left.append(Left(call.node.lineno, f"the call of `{call.runner}`", str(why)))
        return None
    return call


def _guard_line(source: SourceText) -> int:
    guards = [n.lineno for n in source.tree.body if isinstance(n, ast.If)]
    return guards[-1] if guards else 1


def _with_pipeline(text: str) -> str:
    source = SourceText(text)
    call = run_call(source)
    assert call is not None
    return with_edits(text, program_edits(source, call))


class _Needs(NamedTuple):
    """What asks for imports: whether there are `@step` functions, and what became `pipeline()`."""

    steps: bool
    program: RunCall | None


def _with_imports(
    text: str, before: SourceText, needs: _Needs, moved: list[Moved], left: list[Left]
) -> str:
    """Return the text with the imports that it needs now."""
    has_native_specs = False
    if (calls := step_spec_calls(before)) and _is_marin_s(before, "StepSpec"):
        line, what = calls[0].lineno, f"`StepSpec` ({len(calls)} calls)"
        try:
            text = with_edits(text, step_spec_edits(SourceText(text)))
        except CannotMoveError as why:
            left.append(Left(line, what, str(why)))
        else:
            has_native_specs = True
            moved.append(Moved(line, what, "the StepSpec of marin-build"))
    if not moved:
        return text
    lines = []
    if needs.steps:
        name = decorator(before)
        lines = ["import marin_build"] if name != "step" else ["from marin_build import step"]
    program = needs.program
    if program is not None and program.runner == "experiment_main" and needs_version(before):
        names = [name for name in VERSION_NAMES if name not in before.names]
        lines.append(f"from marin.execution.build_context import {', '.join(names)}")
    edits = import_edits(SourceText(text), lines, has_native_specs=has_native_specs)
    return with_edits(text, edits)


def _is_marin_s(source: SourceText, name: str) -> bool:
    return any(
        alias.name == name
        for node in source.tree.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("marin.")
        for alias in node.names
    )


def _step_texts(
    source: SourceText, wanted: Wanted, left: list[Left]
) -> dict[ast.Call, StepText | None]:
    """Return the text for each declaration of a step; None for what stays."""
    calls = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and source.marin_name(node.func) in _KINDS
    ]
    variables = {name for each in calls if (name := _variable(source, each))}
    texts: dict[ast.Call, StepText | None] = {}
    for call in sorted(calls, key=lambda each: each.lineno):
        try:
            texts[call] = _step_text(source, call, wanted, variables)
        except CannotMoveError as why:
            texts[call] = None
            left.append(Left(call.lineno, source.declared(call), str(why)))
    return texts


def _step_text(
    source: SourceText,
    call: ast.Call,
    wanted: Wanted,
    variables: set[str],
) -> StepText:
    here = declared_in(wanted.planned, call) or named_as(wanted.planned, call)
    if wanted.only and not any(step.name in wanted.only for step in here):
        raise CannotMoveError("it was not asked for")
    for node in source.above(call):
        if isinstance(node, ast.stmt):
            break
        if isinstance(node, ast.DictComp | ast.ListComp | ast.SetComp | ast.GeneratorExp):
            raise CannotMoveError("it is made in a comprehension")
    if not isinstance(source.parents[call], ast.Assign | ast.AnnAssign | ast.Return):
        raise CannotMoveError("it is made inside another expression")
    if any(isinstance(node, ast.For | ast.While) for node in source.above(call)):
        raise CannotMoveError("it is made in a loop")
    variable = _variable(source, call)
    if source.marin_name(call.func) == "ArtifactStep":
        return artifact_step_text(source, call, variable)
    return executor_step_text(source, call, variable, here, variables, wanted.pins)


def _variable(source: SourceText, call: ast.Call) -> str | None:
    match source.parents[call]:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name
    return None
