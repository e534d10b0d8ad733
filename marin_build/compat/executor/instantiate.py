"""A config with the paths and values that its placeholders stand for."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from marin_build.compat.executor.errors import IllegalValueError
from marin_build.compat.executor.values import (
    ExecutorStep,
    InputName,
    MirroredValue,
    OutputName,
    VersionedValue,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ConfigT = TypeVar("ConfigT")
_MIRROR = "mirror://"


def under_prefix(prefix: str, path: str | os.PathLike[str]) -> str:
    """Return a relative path below the prefix; an absolute one, or a URL, as it is."""
    path = os.fspath(path)
    is_relative = not path.startswith("/") and not urlsplit(path).scheme
    return os.path.join(prefix, path) if is_relative else path


def instantiate_config(
    config: ConfigT,
    output_path: str | None,
    output_paths: Mapping[ExecutorStep[Any], str],
    prefix: str,
) -> ConfigT:
    """Return a config as the function of its step gets it.

    Args:
        config: may hold places, versioned and mirrored values in dataclasses, dicts, lists, tuples.
        output_path: of its step; None if the config has no place in it.
        output_paths: of the steps that the config names.
        prefix: what relative paths without a step lie under.

    Raises:
        ValueError: the config has a place in the output of its step, and there is no path.
        KeyError: a step that the config names has no path.

    """

    def resolved(value: Any) -> Any:
        match value:
            case ExecutorStep():
                return output_paths[value]
            case InputName(step=None, name=str(name)):
                return under_prefix(prefix, name)
            case InputName(step=ExecutorStep() as step, name=name):
                return _below(output_paths[step], name)
            case OutputName(name=name):
                if output_path is None:
                    raise IllegalValueError(
                        f"the config holds a place in the output of its step, `{name}`, and the "
                        "step has no output path here",
                        hint="give the output path",
                    )
                return _below(output_path, name)
            case MirroredValue(value=inner):
                path = resolved(inner)
                is_plain = isinstance(path, str) and not path.startswith(_MIRROR)
                return _MIRROR + path if is_plain else path
            case VersionedValue(value=inner):
                return inner  # as it is: nothing in a versioned value is a placeholder
        return _rebuilt(value, resolved)

    made: ConfigT = resolved(config)
    return made


def resolve_local_placeholders(config: ConfigT, output_path: str) -> ConfigT:
    """Return a config without places in its own output and versioned values.

    Steps, places in their outputs and mirrored values stay what they are.
    """

    def resolved(value: Any) -> Any:
        match value:
            case OutputName(name=name):
                return _below(output_path, name)
            case MirroredValue(value=inner):
                return replace(value, value=resolved(inner))
            case VersionedValue(value=inner):
                return resolved(inner)
            case InputName() | ExecutorStep():
                return value
        return _rebuilt(value, resolved)

    made: ConfigT = resolved(config)
    return made


def unwrap_versioned_value(value: Any) -> Any:
    """Return a value without the versioned and mirrored values in it.

    Raises:
        ValueError: it holds a step or a place in an output, whose path is not known yet.

    """
    match value:
        case MirroredValue(value=inner) | VersionedValue(value=inner):
            return unwrap_versioned_value(inner)
        case OutputName() | InputName() | ExecutorStep():
            raise IllegalValueError(
                f"a versioned value holds a {type(value).__name__}, whose path is not known yet"
            )
        case tuple():
            return value
    return _rebuilt(value, unwrap_versioned_value)


def largest_mirror_budget(config: Any) -> float | None:
    """Return how many gigabytes the mirrored values of a config may copy; None if it has none."""
    found: list[float] = []

    def look(value: Any) -> Any:
        match value:
            case MirroredValue(budget_gb=budget):
                found.append(budget)
            case VersionedValue(value=inner):
                look(inner)
            case InputName() | ExecutorStep() | OutputName() | type():
                pass
            case _ if is_dataclass(value):
                for field in fields(value):
                    look(getattr(value, field.name))
            case list() | tuple():
                for item in value:
                    look(item)
            case dict():
                for item in value.values():
                    look(item)

    look(config)
    return max(found, default=None)


def _below(path: str, name: str | None) -> str:
    return os.path.join(path, name) if name else path


def _rebuilt(value: Any, resolved: Callable[[Any], Any]) -> Any:
    """Return a container with resolved values in it; any other value as it is."""
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            given = [each.name for each in fields(value) if each.init]  # it sets the others itself
            return replace(value, **{each: resolved(getattr(value, each)) for each in given})
        case list():
            return [resolved(item) for item in value]
        case tuple() if hasattr(value, "_fields"):
            return type(value)(*(resolved(item) for item in value))
        case tuple():
            return tuple(resolved(item) for item in value)
        case dict():
            return {key: resolved(item) for key, item in value.items()}
    return value
