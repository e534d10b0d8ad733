"""Whether a step, a file of one or a source may be given to a parameter, by its annotation."""

from __future__ import annotations

import typing
from dataclasses import is_dataclass
from typing import Any

from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline.bound_call import (
    BoundCall,
    element_of,
    is_path,
    type_hints,
    without_none,
)
from marin_build.pipeline.declared_at import shown_here
from marin_build.pipeline.not_a_step import described, how_to_declare
from marin_build.pipeline.output_file import OutputFile
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForLaterSteps
from marin_build.pipeline.step_spec import StepSpec

_JSON_TYPES = {dict, list, tuple, int, float, bool}


def step_errors(call: BoundCall, name: str, place: tuple[str, int]) -> list[MarinBuildError]:
    """Return what is wrong with the steps given as arguments of a step.

    Args:
        call: the function of the step, with its arguments.
        name: of the step.
        place: the file and line where it is declared.

    """
    if not call.wired:
        return []
    try:
        hints = type_hints(call.function)
    except NameError as error:
        return [
            SpecificationError(
                f"`{name}`: an annotation cannot be read: {error}",
                facts=[("declared", shown_here(place))],
                hint="import the annotated types outside `if TYPE_CHECKING:`",
            )
        ]
    found: list[MarinBuildError] = []
    for key, value in call.wired.items():
        problem = _problem(value, hints.get(key))
        if problem:
            found.append(
                SpecificationError(
                    f"`{name}`: the parameter `{key}` {problem}",
                    facts=[("declared", shown_here(place))],
                    consequence="nothing was run",
                    hint=how_to_declare(_later_in(value))
                    or "annotate it as Path or str for the folder, or as the type "
                    "the step returns for its artifact",
                )
            )
    return found


def _later_in(value: Any) -> StandsForLaterSteps | None:
    """Return the first expansion that a value is or holds."""
    match value:
        case StandsForLaterSteps():
            return value
        case dict():
            return next(filter(None, map(_later_in, value.values())), None)
        case list() | tuple():
            return next(filter(None, map(_later_in, value)), None)
    return None


def _problem(value: Any, annotation: Any) -> str | None:
    """Return why a step cannot be given to a parameter with this annotation."""
    if (later := _later_in(value)) is not None:
        return f"is given {described(later)}, not a step"
    annotation = without_none(annotation)
    match value:
        case Source():
            if annotation is str or is_path(annotation):
                return None
            return f"is given a source, but is annotated {_shown(annotation)}"
        case OutputFile(step=step, path=path):
            if annotation is str or is_path(annotation):
                return None
            what = f"is given the file `{path}` of `{step.name}`"
            return f"{what}, but is annotated {_shown(annotation)}"
        case StepSpec():
            return _step_problem(value, annotation)
        case dict():
            element = element_of(annotation, dict)
            return next(filter(None, (_problem(item, element) for item in value.values())), None)
        case list() | tuple() if type(value) in (list, tuple):
            element = element_of(annotation, type(value))
            return next(filter(None, (_problem(item, element) for item in value)), None)
        case list() | tuple():  # names of fields would be no part of the identity
            return f"is given steps in a {type(value).__name__}: give them in a list or a dict"
    return "mixes steps with other values"


def _step_problem(dep: StepSpec, annotation: Any) -> str | None:
    if annotation is str or is_path(annotation):
        return None
    origin = typing.get_origin(annotation) or annotation
    is_artifact = isinstance(origin, type) and (
        origin in _JSON_TYPES
        or is_dataclass(origin)
        or hasattr(origin, "model_validate")
        or typing.is_typeddict(origin)
    )
    if not is_artifact:
        return f"is given the step `{dep.name}`, but is annotated {_shown(annotation)}"
    if isinstance(dep.fn, BoundCall):
        returned = type_hints(dep.fn.function).get("return", annotation)
        if returned != annotation:
            return f"wants {_shown(annotation)}, but `{dep.name}` returns {_shown(returned)}"
    return None


def _shown(annotation: Any) -> str:
    if annotation is None:
        return "with nothing"
    return f"`{getattr(annotation, '__name__', annotation)}`"
