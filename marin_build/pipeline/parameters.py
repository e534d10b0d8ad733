"""`--set key=value`: text to the values of a pipeline's parameters."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, UsageError, combined
from marin_build.pipeline.bound_call import annotated_function, type_hints
from marin_build.pipeline.parameter_values import UnfitError, parse_value, type_of_default
from marin_build.text.readable import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.errors import MarinBuildError


def parse_settings(
    function: Callable[..., Any], given: Mapping[str, str], file: str
) -> dict[str, Any]:
    """Return the values for a pipeline function.

    A value is parsed by the parameter's annotation, else by the type of its default; without
    either as JSON, else it is a string.

    Raises:
        UsageError: unknown parameters, missing ones and values that do not fit, together.
        SpecificationError: an annotation that cannot be read.

    """
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {
        name for name, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    hints = _hints_of(function, file) if given else {}
    values: dict[str, Any] = {}
    errors: list[MarinBuildError] = []
    for name, text in given.items():
        if name not in named and not takes_any:
            errors.append(
                UsageError(
                    f"the pipeline has no parameter `{name}`",
                    facts=[("file", file), ("parameters", ", ".join(sorted(named)) or "none")],
                    consequence="nothing was run",
                    hint=did_you_mean(name, named),
                )
            )
            continue
        try:
            values[name] = parse_value(text, _type_of(name, hints, parameters))
        except UnfitError as error:
            typed = name in hints
            errors.append(_unfit(name, text, error, parameters.get(name), typed=typed))
    errors.extend(
        UsageError(
            f"the pipeline needs the parameter `{name}`",
            facts=[("file", file)],
            hint=f"--set {name}=...",
        )
        for name in sorted(named - given.keys())
        if parameters[name].default is inspect.Parameter.empty
    )
    if errors:
        raise combined(errors)
    return values


def _hints_of(function: Callable[..., Any], file: str) -> Mapping[str, Any]:
    try:
        return type_hints(annotated_function(function), extras=True)
    except Exception as error:  # an annotation may be any expression
        raise SpecificationError(
            f"an annotation of the pipeline's parameters cannot be read: {error}",
            facts=[("file", file)],
            consequence="nothing was run",
            hint="import the annotated types outside `if TYPE_CHECKING:`",
        ) from error


def _type_of(
    name: str, hints: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> Any:
    """Return the type of a parameter: its annotation, else that of its default, else None."""
    if name in hints:
        return hints[name]
    parameter = parameters.get(name)
    if parameter is None:  # one of `**rest`, whose annotation is that of each
        rest = next((p.name for p in parameters.values() if p.kind is p.VAR_KEYWORD), "")
        return hints.get(rest)
    default = parameter.default
    return None if default is inspect.Parameter.empty else type_of_default(default)


def _unfit(
    name: str, text: str, error: UnfitError, parameter: inspect.Parameter | None, *, typed: bool
) -> UsageError:
    """Return the error of a value that does not fit: parameter, given, expected."""
    from marin_build.text.secret_shapes import without_secret

    shown = "..." if error.is_secret else shortened(without_secret(name, text))
    facts = [("given", shown), ("expected", error.wanted)]
    if error.reason:
        facts.append(("reason", error.reason))
    default = parameter.default if parameter is not None else inspect.Parameter.empty
    if not typed and default is not inspect.Parameter.empty:
        facts.append(("its default", shortened(repr(default))))
    return UsageError(
        f"`--set {name}={shown}` does not fit the parameter `{name}`",
        facts=facts,
        consequence="nothing was run",
    )
