"""Checks the fields of a step when it is declared, and puts them into their frozen form."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from marin_build.errors import MarinBuildError, SpecificationError, UsageError, refuse
from marin_build.identity.attributes import freeze_attributes
from marin_build.identity.canonical import FrozenDict, FrozenList
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.names import BUDGET_NAME, illegal_name, name_problem, version_problem
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.placed import Placed
from marin_build.pipeline.recipe import recipe_problem
from marin_build.pipeline.running_function import generator_problem
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForResources, StandsForStep
from marin_build.workspace.places import checked_place, is_relative
from marin_build.workspace.workspace import CodePolicy

if TYPE_CHECKING:
    from collections.abc import Iterator


EMPTY = FrozenDict()
"""The default of a step's fields that are mappings: it needs no check."""
NONE_OF_THEM: FrozenList[Any] = FrozenList()
"""The default of its dependencies."""


def check_and_freeze(step: Any, kind: type) -> None:
    """Put the fields of a step that were given into their frozen form.

    Args:
        step: the StepSpec that is being declared; its fields may still hold anything.
        kind: the class StepSpec, whose module imports this one: dependencies must be of it.

    Raises:
        SpecificationError: a field has an illegal value. Inside `errors.collected_errors` all
            errors are collected; the field then has a legal value, and the checks go on.

    """
    if (problem := name_problem(step.name)) is not None:
        refuse(illegal_name(step.name, problem, step.place))
    _settle_deps(step, kind)
    if step.hash_attrs is not EMPTY:
        _freeze_attrs(step)
    if step.resources is not None or isinstance(step.fn, Placed):
        _settle_resources(step)
    if step.output_path_prefix is not None or step.override_output_path is not None:
        _settle_places(step)
    if not (step.inputs is EMPTY and step.env_vars is EMPTY and step.budgets is EMPTY):
        for name in ("inputs", "env_vars", "budgets"):
            value = getattr(step, name)
            if type(value) is not FrozenDict:
                _put(step, name, _as_mapping(value))
    for name in ("tags", "secrets", "detached"):
        if type(getattr(step, name)) is not tuple:
            _put(step, name, _as_tuple(getattr(step, name), str))
    if step.outputs is not None and type(step.outputs) is not tuple:
        _put(step, "outputs", _as_tuple(step.outputs, str))
    for problem in _problems_of(step):
        refuse(_error(step, f"`{step.name}`: {problem}"))


def _settle_deps(step: Any, kind: type) -> None:
    """Put the dependencies of a step into a list of steps that cannot be changed."""
    if not isinstance(step.deps, tuple):
        hint = how_to_declare(step.deps) if callable(step.deps) else None
        _put(step, "deps", _as_tuple(step.deps, kind), hint)
    put = object.__setattr__
    if not all(isinstance(dep, kind) for dep in step.deps):
        put(step, "deps", FrozenList(as_step(dep) for dep in step.deps))
    for dep in step.deps:
        if not isinstance(dep, kind):
            what = f"`{step.name}` depends on {described(dep)}, not a step"
            refuse(_error(step, what, how_to_declare(dep)))
            put(step, "deps", tuple(d for d in step.deps if isinstance(d, kind)))
            break


def as_step(dep: object) -> object:
    """Return the step that a dependency stands for; any other value as it is."""
    if isinstance(dep, StandsForStep):
        return dep.lowered_step
    return runtime_calls.step_of_marin(dep) or dep


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
        attrs = freeze_attributes(given, f"{step.name}.attrs")
    except MarinBuildError as error:
        error.facts = (*error.facts, ("declared", step.place))
        refuse(error)
    object.__setattr__(step, "hash_attrs", attrs)


def _settle_resources(step: Any) -> None:
    """Give a step the resources of its function if it has none, and what they stand for."""
    resources = step.resources if step.resources is not None else step.fn.resources
    if isinstance(resources, StandsForResources):
        try:
            resources = resources.lowered_resources
        except MarinBuildError as error:
            error.facts = (*error.facts, ("declared", step.place))
            refuse(error)
            resources = None
    else:
        resources = runtime_calls.resources_of_marin(resources)
    object.__setattr__(step, "resources", resources)


def _settle_places(step: Any) -> None:
    """Put the places that a step names into the form of texts."""
    for name in ("output_path_prefix", "override_output_path"):
        if (given := getattr(step, name)) is None:
            continue
        place = None
        try:
            place = _place_of(step, name, given)
        except UsageError as error:  # it is nearly a URL
            error.facts = (*error.facts, ("declared", step.place))
            refuse(error)
        except SpecificationError as error:
            refuse(error)
        object.__setattr__(step, name, place)


def _place_of(step: Any, name: str, given: object) -> str:
    """Return a place that a step names as text; a relative output path lies below the prefix."""
    path = os.fspath(given) if isinstance(given, str | os.PathLike) else None
    if not isinstance(path, str):
        what = f"is a {type(given).__name__}, not a path or a URL"
        raise _error(step, f"`{name}` of `{step.name}` {what}")
    place = checked_place(path)
    if name == "override_output_path" and is_relative(place):
        inside = posixpath.normpath(place)
        if inside == "." or inside.split("/")[0] == "..":
            what = "names no folder" if inside == "." else f"leads out of the prefix: `{place}`"
            hint = "a relative path lies below the prefix: give an absolute one for another place"
            raise _error(step, f"`{name}` of `{step.name}` {what}", hint)
    return place


def _error(step: Any, what: str, hint: str | None = None) -> SpecificationError:
    place = [("declared", step.place)]
    return SpecificationError(what, facts=place, consequence="nothing was run", hint=hint)


def _as_tuple(value: Any, one: type) -> tuple[tuple[Any, ...], str | None]:
    """Return a field that holds several values as a tuple, and what is wrong with it.

    A single value of the type `one` becomes a tuple of it: its author meant a list.
    """
    if type(value) is list:  # nearly always: the questions below take longer than the copy
        return FrozenList(value), None
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


def _problems_of(step: Any) -> Iterator[str]:
    """Yield what is wrong with the fields of a step that are not identity."""
    if step.version is not None:
        yield from _version_problems(step)
    if not (step.writes_record is False and step.fingerprint_payload is None):
        yield from _record_problems(step)
    if step.code is not None and step.code not in get_args(CodePolicy):
        yield f"`code` is one of {', '.join(get_args(CodePolicy))}, not `{step.code}`"
    yield from _retries_problems(step.retries)
    if step.timeout is not None and not _is_duration(step.timeout):
        yield "`timeout` is a positive number of seconds"
    for output in step.outputs or ():
        if not _is_inside(output):
            yield f"the output `{output}` is not a path inside the step's folder"
    yield from _word_problems(step)
    if step.fn is not None and not callable(step.fn):
        yield f"`fn` is a {type(step.fn).__name__}, not a function"
    if (problem := generator_problem(step.fn)) is not None:
        yield f"`fn` {problem}"
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
