"""The walk over a config that finds what is identity in it: versioned values and other steps."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.errors import IllegalValueError
from marin_build.compat.executor.values import (
    ExecutorStep,
    InputName,
    MirroredValue,
    VersionedValue,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class InputNameEvent:
    """A place in a step's output, or a path without a step; `prefix` is where the config has it."""

    prefix: str
    input_name: InputName


@dataclass(frozen=True)
class VersionedEvent:
    """A versioned value, without its wrapper; `prefix` is where the config has it."""

    prefix: str
    value: Any


@dataclass(frozen=True)
class Dependencies:
    """What a config says of the identity of its step.

    Args:
        dependencies: the steps it needs, in the order of the walk; one may be there twice.
        pseudo_dependencies: steps that count in its identity, and that it does not wait for.
        version: dotted path in the config -> versioned value, `DEP[i]`, `DEP[i]/sub`, or the path
            of an input without a step. `i` counts dependencies and pseudo-dependencies together.

    """

    dependencies: list[ExecutorStep[Any]]
    pseudo_dependencies: list[ExecutorStep[Any]]
    version: dict[str, Any]


def walk_config(obj: Any) -> Iterator[InputNameEvent | VersionedEvent]:
    """Yield the versioned values and the inputs in a config, depth first.

    The walk looks into dataclasses, dicts, lists, tuples and sets, and into no other value.

    Args:
        obj: the config.

    Raises:
        ValueError: a dict has a key that is not a string.

    """
    return _walk(obj, "")


def _walk(obj: Any, path: str) -> Iterator[InputNameEvent | VersionedEvent]:
    below = f"{path}." if path else ""
    match obj:
        case ExecutorStep():
            yield InputNameEvent(path, InputName(obj, None))
        case InputName():
            yield InputNameEvent(path, obj)
        case MirroredValue(value=value):
            yield from _walk(value, path)
        case VersionedValue(value=value):
            yield VersionedEvent(path, value)
        case _ if is_dataclass(obj) and not isinstance(obj, type):
            for field in fields(obj):
                yield from _walk(getattr(obj, field.name), below + field.name)
        case dict():
            for key, value in obj.items():
                if not isinstance(key, str):
                    kind = type(key).__name__
                    raise IllegalValueError(
                        f"dict keys must be strs, and {key!r} in a config is of the type {kind}",
                        facts=[("at", path or "the config itself")],
                        consequence="nothing was run",
                    )
                yield from _walk(value, below + key)
        case list() | tuple() | set() | frozenset():
            for index, item in enumerate(obj):
                yield from _walk(item, f"{below}[{index}]")


def upstream_steps(obj: Any) -> list[ExecutorStep[Any]]:
    """Return the steps that a config names, each once, in the order of the walk."""
    found = dict[int, ExecutorStep[Any]]()
    for event in walk_config(obj):
        if isinstance(event, InputNameEvent) and event.input_name.step is not None:
            found.setdefault(id(event.input_name.step), event.input_name.step)
    return list(found.values())


def collect_dependencies_and_version(obj: Any) -> Dependencies:
    """Return what a config says of the identity of its step.

    Raises:
        ValueError: a dict in it has a key that is not a string.

    """
    found = Dependencies([], [], {})
    for event in walk_config(obj):
        if isinstance(event, VersionedEvent):
            found.version[event.prefix] = event.value
            continue
        place = event.input_name
        if place.step is None:
            found.version[event.prefix] = place.name
            continue
        index = len(found.dependencies) + len(found.pseudo_dependencies)
        kind = found.dependencies if place.block_on_step else found.pseudo_dependencies
        kind.append(place.step)
        below = f"/{place.name}" if place.name else ""
        found.version[event.prefix] = f"DEP[{index}]{below}"
    return found
