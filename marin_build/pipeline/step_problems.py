"""What is wrong with the values of a step, in words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args

from marin_build.pipeline.names import BUDGET_NAME, version_problem
from marin_build.pipeline.recipe import recipe_problem
from marin_build.pipeline.running_function import generator_problem
from marin_build.pipeline.source import Source
from marin_build.workspace.workspace import CodePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def problems_of_function(fn: object) -> list[str]:
    """Return what is wrong with the `fn` of a step."""
    if fn is not None and not callable(fn):
        return [f"`fn` is a {type(fn).__name__}, not a function"]
    problem = generator_problem(fn)
    return [] if problem is None else [f"`fn` {problem}"]


def problems_of(step: Any) -> Iterator[str]:
    """Yield what is wrong with the fields of a step that few steps have."""
    if step.version is not None:
        yield from _version_problems(step)
    if not (step.writes_record is False and step.fingerprint_payload is None):
        yield from _record_problems(step)
    is_retried = type(step.retries) is not int or step.retries != 0
    if is_retried or step.code is not None or step.timeout is not None:
        yield from _attempt_problems(step)
    for output in step.outputs or ():
        if not _is_inside(output):
            yield f"the output `{output}` is not a path inside the step's folder"
    if step.tags or step.secrets or step.detached:
        yield from _word_problems(step)
    if step.resources is not None:
        from marin_build.pipeline.resources import ResourceConfig

        if not isinstance(step.resources, ResourceConfig):
            yield f"`resources` is a {type(step.resources).__name__}, not a ResourceConfig"
    if step.inputs:
        yield from _input_problems(step.inputs)
    if step.env_vars:
        from marin_build.pipeline.variable_checks import variable_problems

        yield from variable_problems(step.env_vars)
    if step.budgets:
        yield from _budget_problems(step.budgets)
    if not (step.temp is False and step.keep is False):
        yield from _keeping_problems(step)


def _attempt_problems(step: Any) -> Iterator[str]:
    if step.code is not None and step.code not in get_args(CodePolicy):
        yield f"`code` is one of {', '.join(get_args(CodePolicy))}, not `{step.code}`"
    yield from _retries_problems(step.retries)
    if step.timeout is not None and not _is_duration(step.timeout):
        yield "`timeout` is a positive number of seconds"


def _keeping_problems(step: Any) -> Iterator[str]:
    """Yield what is wrong with how long an output is to be kept."""
    for name in ("temp", "keep"):
        if type(value := getattr(step, name)) is not bool:
            yield f"`{name}` is True or False, not `{value!r}`"
    if step.temp is True and step.keep is True:
        yield "`temp` and `keep` contradict each other"
    if step.temp is True and step.override_output_path is not None:
        yield "`temp` deletes its output, and a folder that you chose is never cleared"
    if step.temp is True and step.fn is None:
        yield "`temp` deletes its output, and no function could build that again"


def _version_problems(step: Any) -> Iterator[str]:
    """Yield what is wrong with a version, and with a recipe or an output path beside it."""
    if problem := version_problem(step.version):
        yield problem
    if isinstance(step.fingerprint_payload, str):
        if problem := recipe_problem(step.fingerprint_payload):
            yield problem
    elif step.override_output_path is not None:
        yield "a version and an output path cannot both be given"


def _record_problems(step: Any) -> Iterator[str]:
    payload = step.fingerprint_payload
    if payload is not None and not isinstance(payload, str):
        yield f"`fingerprint_payload` is a {type(payload).__name__}, not a text"
    if type(step.writes_record) is not bool:
        yield f"`writes_record` is True or False, not `{step.writes_record!r}`"


def _word_problems(step: Any) -> Iterator[str]:
    """Yield what is wrong with the fields that hold words."""
    yield from (f"the tag `{tag}` is not a string" for tag in step.tags if type(tag) is not str)
    for secret in step.secrets:
        if type(secret) is not str or not secret.removeprefix("!"):
            yield f"the pattern `{secret!r}` in `secrets` is no name of a variable"
    for name in step.detached:
        if type(name) is not str or not name or "/" in name:
            yield f"`detached` holds names of programs without folders, not `{name!r}`"


def _retries_problems(retries: object) -> Iterator[str]:
    if type(retries) is int:
        if retries < 0:
            yield "`retries` must not be negative"
        return
    from marin_build.pipeline.retries import Retries

    if not isinstance(retries, Retries):
        yield f"`retries` is a {type(retries).__name__}, not a whole number or Retries"


def _is_duration(seconds: object) -> bool:
    return isinstance(seconds, int | float) and 0 < seconds < math.inf


def _is_inside(output: object) -> bool:
    return (
        isinstance(output, str)
        and output != ""
        and not output.startswith(("/", "."))
        and ".." not in output.split("/")
    )


def _input_problems(inputs: Mapping[Any, Any]) -> Iterator[str]:
    sources = [value for value in inputs.values() if type(value) is Source]
    named = {source.name: source for source in sources}
    for source in sources:
        if named[source.name] != source or named[source.name].location != source.location:
            yield f"two inputs are called `{source.name}`"
    for key, value in inputs.items():
        if type(value) is not Source:
            yield f"the input `{key}` is not a source(...)"


def _budget_problems(budgets: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in budgets.items():
        if type(key) is not str or not BUDGET_NAME.fullmatch(key):
            yield f"the budget `{key}` is not a name of letters, digits, `.`, `_`, `-`"
        if type(value) is not int or value < 1:
            yield f"the budget `{key}` is a whole number above 0, not `{value!r}`"
