"""`--set key=value` and files of parameters: text to the values of a pipeline's parameters."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, UsageError, combined
from marin_build.pipeline.bound_call import annotated_function, type_hints
from marin_build.pipeline.parameter_parts import unknown_part, with_part
from marin_build.pipeline.parameter_texts import FileText, is_json, plain_name
from marin_build.pipeline.parameter_values import (
    UnfitError,
    fitted_value,
    parse_value,
    type_of_default,
)
from marin_build.pipeline.type_words import expected
from marin_build.text.readable import did_you_mean, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

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
    parts: list[tuple[str, str]] = []
    for key, text in given.items():
        name = plain_name(key)
        if name not in named and name.partition(".")[0] in named:
            parts.append((name, text))
            continue
        if name not in named and not takes_any:
            errors.append(_unknown(name, text, file, named))
            continue
        kind = _type_of(name, hints, parameters)
        try:
            values[name] = _of_json(text, kind) if is_json(key) else parse_value(text, kind)
        except UnfitError as error:
            typed = name in hints
            errors.append(_unfit(name, text, error, parameters.get(name), typed=typed))
    for name, text in parts:
        head, *inside = name.split(".")
        whole = values.get(head, parameters[head].default)
        if whole is inspect.Parameter.empty:
            continue  # it is missing, or did not fit
        try:
            values[head] = with_part(whole, inside, text, head)
        except UnfitError as error:
            errors.append(_unfit(name, text, error, None, typed=True))
        except UsageError as error:
            errors.append(error)
    errors.extend(
        UsageError(
            f"the pipeline needs the parameter `{name}`",
            facts=[("file", file)],
            hint=f"--set {name}=...",
        )
        for name in sorted(named - set(map(plain_name, given)))
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


def _of_json(text: str, kind: Any) -> Any:
    """Return the value of a parameter whose text is JSON.

    Raises:
        UnfitError: it does not fit, or has parts that its type does not have.

    """
    value = fitted_value(text, kind)
    if (part := unknown_part(json.loads(text), kind)) is not None:
        raise UnfitError(expected(kind), f"it has `{part}`, which that has not")
    return value


def _unknown(name: str, text: str, file: str, named: Collection[str]) -> UsageError:
    facts = [("file", file), ("parameters", ", ".join(sorted(named)) or "none")]
    hint = did_you_mean(name, named)
    if isinstance(text, FileText):
        facts.insert(0, ("given in", text.origin))
        hint = hint or "a function that takes only some of the file's values has `**rest`, too"
    return UsageError(
        f"the pipeline has no parameter `{name}`",
        facts=facts,
        consequence="nothing was run",
        hint=hint,
    )


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
        f"`{name}` of `{text.origin}` does not fit the parameter"
        if isinstance(text, FileText)
        else f"`--set {name}={shown}` does not fit the parameter `{name}`",
        facts=facts,
        consequence="nothing was run",
    )
