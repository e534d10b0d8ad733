"""`--set key=value`: text to the values of a pipeline's parameters."""

from __future__ import annotations

import inspect
import json
import typing
from typing import TYPE_CHECKING, Any

from marin_build.errors import UsageError, combined
from marin_build.pipeline.bound_call import type_hints
from marin_build.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.errors import MarinBuildError


def parse_settings(
    function: Callable[..., Any], given: Mapping[str, str], file: str
) -> dict[str, Any]:
    """Return the values for a pipeline function.

    A value is parsed by the parameter's annotation; without one as JSON, else it is a string.

    Raises:
        UsageError: unknown parameters, missing ones and values that do not fit, together.

    """
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    named = {
        name for name, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    }
    hints = type_hints(function) if given else {}
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
            values[name] = parse_value(text, hints.get(name))
        except ValueError as error:
            errors.append(
                UsageError(
                    f"`--set {name}={text}` does not fit the parameter",
                    facts=[("reason", str(error))],
                    consequence="nothing was run",
                )
            )
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


def parse_value(text: str, annotation: Any) -> Any:
    """Return the value of a text.

    Raises:
        ValueError: it does not fit the annotation.

    """
    if annotation is str:
        return text
    if annotation is None or annotation is Any:
        try:
            return json.loads(text)
        except ValueError:
            return text
    if annotation is int or annotation is float:
        return annotation(text)
    from pydantic import PydanticUserError, TypeAdapter, ValidationError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    except PydanticUserError:
        raise ValueError(
            f"no text can be a {getattr(annotation, '__name__', annotation)}"
        ) from None
    try:
        return adapter.validate_strings(text)
    except ValidationError:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            is_plain = isinstance(annotation, type) and not typing.get_args(annotation)
            wanted = annotation.__name__ if is_plain else str(annotation)
            raise ValueError(f"not a {wanted}: {error.errors()[0]['msg'].lower()}") from None


def call_with(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """Call a pipeline function."""
    return function(**values)
