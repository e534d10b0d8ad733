"""`StepSpec` of Marin -> that of marin-build: the same fields, so only its defaults are written."""

from __future__ import annotations

import ast

from marin_build.compat.migration.source_text import (
    CannotMoveError,
    Edit,
    SourceText,
    with_edits,
)
from marin_build.compat.migration.step_function import KEEPS

_POSITIONAL = 5
"""As many arguments of our StepSpec may come without a name."""


def step_spec_calls(source: SourceText) -> list[ast.Call]:
    """Return the calls that declare a StepSpec, in the order of their lines."""
    calls = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call) and source.marin_name(node.func) == "StepSpec"
    ]
    return sorted(calls, key=lambda each: each.lineno)


def lifted_specs(source: SourceText) -> list[ast.Call]:
    """Return the calls that put a StepSpec among ExecutorSteps."""
    return [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "as_executor_step"
    ]


def without_lifting(text: str) -> str:
    """Return a text in which StepSpecs stay what they are: a `@step` function takes them so."""
    while calls := lifted_specs(source := SourceText(text)):
        call = calls[-1]  # the innermost ones come last
        assert isinstance(call.func, ast.Attribute)
        text = with_edits(text, [source.replace(call, source.of(call.func.value))])
    return text


def step_spec_edits(source: SourceText) -> list[Edit]:
    """Return the edits that make all StepSpecs of a file those of marin-build.

    Raises:
        CannotMoveError: one is used as only those of Marin can be.

    """
    if lifted_specs(source):
        raise CannotMoveError("`as_executor_step` puts it among ExecutorSteps")
    return [_keeping(source, call) for call in step_spec_calls(source)]


def _keeping(source: SourceText, call: ast.Call) -> Edit:
    if len(call.args) > _POSITIONAL or any(isinstance(arg, ast.Starred) for arg in call.args):
        raise CannotMoveError("it is called with arguments that have no names")
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if not given:
        raise CannotMoveError("it is called without arguments")
    last = max(given, key=source.end)
    at, close = source.end(last), source.end(call)
    has_own_line = "\n" in source.text[at:close]
    before = f",\n{source.indent_of(_first_line(call, last))}" if has_own_line else ", "
    return Edit(at, at, before + KEEPS)


def _first_line(call: ast.Call, value: ast.expr) -> int:
    """Return the line where an argument begins, with its name."""
    for keyword in call.keywords:
        if keyword.value is value:
            return keyword.lineno
    return value.lineno
