"""Checks the fields of a step when it is declared, and puts them into their frozen form."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from marin_build.errors import MarinBuildError, SpecificationError, refuse
from marin_build.identity.canonical import FrozenDict, freeze
from marin_build.pipeline.names import BUDGET_NAME, illegal_name, name_problem, version_problem
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.placed import Placed
from marin_build.pipeline.source import Source
from marin_build.workspace import CodePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


EMPTY = FrozenDict()
"""The default of a step's fields that are mappings: it needs no check."""


def check_and_freeze(step: Any, kind: type) -> None:
    """Put the fields of a step that were given into their frozen form.

    Args:
        step: the StepSpec that is being declared; its fields may still hold anything.
        kind: the class StepSpec, whose module imports this one: dependencies must be of it.

    Raises:
        SpecificationError: a field has an illegal value. Inside `errors.collected_errors` all
            errors are collected; the field then has a legal value, and the checks go on.

    """
    put = object.__setattr__
    if (problem := name_problem(step.name)) is not None:
        refuse(illegal_name(step.name, problem, step.place))
    if type(step.deps) is not tuple:
        hint = how_to_declare(step.deps) if callable(step.deps) else None
        _put(step, "deps", _as_tuple(step.deps, kind), hint)
    for dep in step.deps:
        if type(dep) is not kind:
            what = f"`{step.name}` depends on {described(dep)}, not a step"
            refuse(_error(step, what, how_to_declare(dep)))
            put(step, "deps", tuple(d for d in step.deps if isinstance(d, kind)))
            break
    if step.hash_attrs is not EMPTY:
        _freeze_attrs(step)
    if step.resources is None and isinstance(step.fn, Placed):
        put(step, "resources", step.fn.resources)
    if not (step.inputs is EMPTY and step.env_vars is EMPTY and step.budgets is EMPTY):
        for name in ("inputs", "env_vars", "budgets"):
            value = getattr(step, name)
            if type(value) is not FrozenDict:
                _put(step, name, _as_mapping(value))
    if type(step.tags) is not tuple:
        _put(step, "tags", _as_tuple(step.tags, str))
    if step.outputs is not None and type(step.outputs) is not tuple:
        _put(step, "outputs", _as_tuple(step.outputs, str))
    problems = _problems_of(
        version=step.version, override_output_path=step.override_output_path, code=step.code,
        retries=step.retries, timeout=step.timeout, outputs=step.outputs, tags=step.tags,
        fn=step.fn, resources=step.resources, inputs=step.inputs, env_vars=step.env_vars,
        budgets=step.budgets,
    )  # fmt: skip
    for problem in problems:
        refuse(_error(step, f"`{step.name}`: {problem}"))


def _put(step: Any, name: str, checked: tuple[object, str | None], hint: str | None = None) -> None:
    """Set a field to its checked value; refuse the step if there was a problem with it."""
    value, problem = checked
    if problem is not None:
        refuse(_error(step, f"`{name}` of `{step.name}` {problem}", hint))
    object.__setattr__(step, name, value)


def _freeze_attrs(step: Any) -> None:
    attrs: FrozenDict = EMPTY
    given = step.hash_attrs
    if type(given) is not dict:
        given, problem = _as_mapping(given)
        if problem is not None:
            refuse(_error(step, f"`hash_attrs` of `{step.name}` {problem}"))
    try:
        attrs = freeze(given, f"{step.name}.attrs")
    except MarinBuildError as error:
        error.facts = (*error.facts, ("declared", step.place))
        refuse(error)
    object.__setattr__(step, "hash_attrs", attrs)


def _error(step: Any, what: str, hint: str | None = None) -> SpecificationError:
    place = [("declared", step.place)]
    return SpecificationError(what, facts=place, consequence="nothing was run", hint=hint)


def _as_tuple(value: Any, one: type) -> tuple[tuple[Any, ...], str | None]:
    """Return a field that holds several values as a tuple, and what is wrong with it.

    A single value of the type `one` becomes a tuple of it: its author meant a list.
    """
    if type(value) is list:  # nearly always: the questions below take longer than the copy
        return tuple(value), None
    if isinstance(value, one):
        return (value,), f"is one {_shown(one)}, not several"
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return (), f"is a {type(value).__name__}, not a list"
    return tuple(value), None


def _as_mapping(value: Any) -> tuple[FrozenDict, str | None]:
    """Return a field that holds a mapping as a frozen one, and what is wrong with it."""
    if type(value) is dict or isinstance(value, Mapping):
        return FrozenDict(value), None
    return FrozenDict(), f"is a {type(value).__name__}, not a mapping"


def _shown(one: type) -> str:
    return "string" if one is str else "step"


def _problems_of(
    *,
    version: str | None,
    override_output_path: str | None,
    code: object,
    retries: object,
    timeout: object,
    outputs: Sequence[object] | None,
    tags: Sequence[object],
    fn: object,
    resources: object,
    inputs: Mapping[Any, Any],
    env_vars: Mapping[Any, Any],
    budgets: Mapping[Any, Any],
) -> Iterator[str]:
    """Yield what is wrong with the fields of a step that are not identity."""
    if version is not None and (problem := version_problem(version)):
        yield problem
    if version is not None and override_output_path is not None:
        yield "a version and an output path cannot both be given"
    if code is not None and code not in get_args(CodePolicy):
        yield f"`code` is one of {', '.join(get_args(CodePolicy))}, not `{code}`"
    yield from _retries_problems(retries)
    if timeout is not None and not _is_duration(timeout):
        yield "`timeout` is a positive number of seconds"
    for output in outputs or ():
        if not _is_inside(output):
            yield f"the output `{output}` is not a path inside the step's folder"
    yield from (f"the tag `{tag}` is not a string" for tag in tags if type(tag) is not str)
    if fn is not None and not callable(fn):
        yield f"`fn` is a {type(fn).__name__}, not a function"
    if resources is not None:
        from marin_build.pipeline.resources import ResourceConfig

        if not isinstance(resources, ResourceConfig):
            yield f"`resources` is a {type(resources).__name__}, not a ResourceConfig"
    if inputs:
        yield from _input_problems(inputs)
    if env_vars:
        yield from _variable_problems(env_vars)
    if budgets:
        yield from _budget_problems(budgets)


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


def _variable_problems(env_vars: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in env_vars.items():
        legal = (
            type(key) is str
            and type(value) is str
            and key != ""
            and "=" not in key
            and "\0" not in key + value
        )
        if not legal:
            yield f"the environment variable `{key}` is not a string to a string"


def _budget_problems(budgets: Mapping[Any, Any]) -> Iterator[str]:
    for key, value in budgets.items():
        if type(key) is not str or not BUDGET_NAME.fullmatch(key):
            yield f"the budget `{key}` is not a name of letters, digits, `.`, `_`, `-`"
        if type(value) is not int or value < 1:
            yield f"the budget `{key}` is a whole number above 0, not `{value!r}`"
