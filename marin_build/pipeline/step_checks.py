"""Checks the fields of a step when it is declared, and puts them into their frozen form."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from marin_build.errors import MarinBuildError, SpecificationError, UsageError, refuse
from marin_build.identity.attributes import freeze_attributes
from marin_build.identity.canonical import FrozenDict, FrozenList
from marin_build.pipeline import runtime_calls
from marin_build.pipeline.names import illegal_name, name_problem
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.placed import Placed
from marin_build.pipeline.stands_for import StandsForResources, StandsForStep
from marin_build.pipeline.step_problems import problems_of, problems_of_function
from marin_build.workspace.places import checked_place, is_relative

EMPTY = FrozenDict()
"""The default of a step's fields that are mappings: it needs no check."""
NONE_OF_THEM: FrozenList[Any] = FrozenList()
"""The default of its dependencies."""
_NO_WORDS: tuple[str, ...] = ()


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
    if isinstance(step.fn, Placed) or not _has_defaults(step):
        _settle_the_rest(step)
    for problem in problems_of_function(step.fn):
        refuse(_error(step, f"`{step.name}`: {problem}"))


def _has_defaults(step: Any) -> bool:
    """Return whether the fields that few steps have are at their defaults, which need no check."""
    return (
        step.inputs is step.env_vars is step.budgets is EMPTY
        and step.outputs is step.resources is step.version is step.fingerprint_payload is None
        and step.output_path_prefix is step.override_output_path is step.timeout is None
        and step.code is None
        and step.tags is step.secrets is step.detached is _NO_WORDS
        and step.temp is step.keep is step.writes_record is False
        and type(step.retries) is int
        and step.retries == 0
    )


def _settle_the_rest(step: Any) -> None:
    """Check and freeze the fields that few steps have."""
    if step.resources is not None or isinstance(step.fn, Placed):
        _settle_resources(step)
    _settle_places(step)
    for name in ("inputs", "env_vars", "budgets"):
        value = getattr(step, name)
        if type(value) is not FrozenDict:
            _put(step, name, _as_mapping(value))
    for name in ("tags", "secrets", "detached", "outputs"):
        value = getattr(step, name)
        if not (type(value) is tuple or (value is None and name == "outputs")):
            _put(step, name, _as_tuple(value, str))
    for problem in problems_of(step):
        refuse(_error(step, f"`{step.name}`: {problem}"))


def _settle_deps(step: Any, kind: type) -> None:
    """Put the dependencies of a step into a list of steps that cannot be changed."""
    if type(step.deps) is list:  # nearly always
        object.__setattr__(step, "deps", FrozenList(step.deps))
    elif not isinstance(step.deps, tuple):
        hint = how_to_declare(step.deps) if callable(step.deps) else None
        _put(step, "deps", _as_tuple(step.deps, kind), hint)
    for dep in step.deps:
        if type(dep) is not kind:
            break
    else:
        return  # nearly always
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
