"""Graphs of ExecutorSteps as JSON trees, so that Marin's executor and ours can be given the same.

A step is `{"name", "config", "override"}`; a config is a tree. What JSON has not is a dict of one
key: `{"versioned": tree}`, `{"step": 0, "below": "x", "waits": true}`, `{"this": "metrics"}` ...
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Tree = Any


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


class Mode(enum.StrEnum):
    FAST = "fast"


class Size(enum.IntEnum):
    LARGE = 3


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclass(frozen=True)
class Inner:
    x: Any = None
    y: Any = None
    description: Any = None


@dataclass
class Outer:
    output_path: Any = None
    a: Any = None
    b: Any = None
    inner: Any = None
    extras: Any = None


_CLASSES = {"Inner": Inner, "Outer": Outer, "Pair": Pair}
_ENUMS: dict[str, Any] = {"Colour": Colour, "Mode": Mode, "Size": Size}


def run(config: Any) -> None:
    """Do nothing: the graphs are only looked at."""


def steps_of(graph: Sequence[Mapping[str, Any]], names: Any, resources: Any) -> list[Any]:
    """Return the steps of a graph.

    Args:
        graph: the steps as trees, dependencies first.
        names: has Marin's names: `ExecutorStep`, `versioned` ...
        resources: the class ResourceConfig.

    """
    steps: list[Any] = []
    for tree in graph:
        config = value_of(tree["config"], steps, names, resources)
        override = tree.get("override")
        steps.append(names.ExecutorStep(tree["name"], run, config, override_output_path=override))
    return steps


def value_of(tree: Tree, steps: Sequence[Any], names: Any, resources: Any) -> Any:
    """Return the value that a tree stands for."""

    def inside(item: Tree) -> Any:
        return value_of(item, steps, names, resources)

    match tree:
        case {"versioned": item}:
            return names.versioned(inside(item))
        case {"step": int(index), "below": below, "waits": waits}:
            place = names.output_path_of(steps[index], below)
            return place if waits else place.nonblocking()
        case {"bare": int(index)}:
            return steps[index]
        case {"this": below}:
            return names.this_output_path(below)
        case {"hardcoded": path}:
            return names.InputName.hardcoded(path)
        case {"mirrored": item}:
            return names.mirrored(inside(item), budget_gb=7)
        case {"tpu": kind}:
            return resources.with_tpu(kind)
        case {"cpu": count}:
            return resources(cpu=count, ram="5g")
    return _container_of(tree, inside)


def _container_of(tree: Tree, inside: Callable[[Tree], Any]) -> Any:
    match tree:
        case {"list": items}:
            return [inside(item) for item in items]
        case {"tuple": items}:
            return tuple(inside(item) for item in items)
        case {"set": item}:
            return frozenset([inside(item)])
        case {"dict": pairs}:
            return {key: inside(item) for key, item in pairs}
        case {"class": kind, "values": items}:
            return _CLASSES[kind](*(inside(item) for item in items))
        case {"enum": kind, "member": member}:
            return _ENUMS[kind][member]
        case {"timedelta": parts}:
            return timedelta(*parts)
        case {"path": path}:
            return Path(path)
    return tree


def shown(value: Any) -> Any:
    """Return a value as JSON that shows its types, too."""
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {type(value).__name__: [shown(getattr(value, f.name)) for f in fields(value)]}
        case dict():
            return {"dict": [[shown(key), shown(item)] for key, item in value.items()]}
        case list() | tuple():
            return {type(value).__name__: [shown(item) for item in value]}
        case set() | frozenset():
            return {type(value).__name__: sorted(repr(shown(item)) for item in value)}
    return value if type(value) in (str, int, bool, type(None)) else repr(value)
