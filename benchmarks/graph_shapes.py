"""The graphs that are built: who depends on whom, and the ten bytes each step writes.

Pure and without imports from the rest of the harness: the programs that run inside marin-build,
doit and snakemake import a copy of this file that lies beside them, so that all tools build the
very same graph and one function says what every output must be.

A step is an index; steps are numbered in topological order (dependencies first). A step's output
is ten decimal digits computed with nothing but `+`, `*` and `%`, so that a shell without child
processes can compute the same as Python::

    value = start(index, seed)
    for each input, in order:  value = (value * 31 + input) % 10**10

31 is prime to the modulus: a change of any one input changes the output.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SHAPES = ("chain", "wide", "layers")
FAN_IN = 100
"""How many inputs a step of the reduction tree of `wide` has."""
SMALLEST = 25
"""The smallest size: `layers` needs three different inputs for every step."""
FEW = 1_000
"""The size whose steps are compared with those of larger graphs."""
MODULUS = 10**10

Edges = Sequence[tuple[int, ...]]
"""`edges[i]` holds the indices, all below `i`, of the steps that step `i` depends on."""


def edges(shape: str, size: int) -> Edges:
    """Return the dependencies of every step.

    Raises ValueError for an unknown shape or a tiny size.
    """
    if size < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST}: {size}")
    match shape:
        case "chain":
            return [(index - 1,) if index else () for index in range(size)]
        case "wide":
            return _wide(size)
        case "layers":
            return _layers(size)
        case _:
            raise ValueError(f"unknown shape `{shape}`, expected one of {', '.join(SHAPES)}")


def changed(shape: str, size: int) -> range:
    """Choose the 1 % of steps that get another seed: late ones, so that about 1 % run again.

    chain and layers: the last steps, whose dependents are all among themselves.
    wide: the last leaves, which share as few reduction steps as possible.
    """
    if shape not in SHAPES:
        raise ValueError(f"unknown shape `{shape}`, expected one of {', '.join(SHAPES)}")
    return range(size - max(1, size // 100), size)


def seeds(shape: str, size: int, steps: int, generation: int) -> list[int]:
    """Return the seed of every step: 0, or for the changed ones the generation."""
    values = [0] * steps
    for index in changed(shape, size):
        values[index] = generation
    return values


def affected(graph: Edges, roots: Iterable[int]) -> set[int]:
    """Return the given steps and all that depend on them, directly or not."""
    found = set(roots)
    for index, inputs in enumerate(graph):
        if not found.isdisjoint(inputs):
            found.add(index)
    return found


def explained(size: int) -> int:
    """Return the step that is explained: it needs a tenth of all steps; in `wide`, none."""
    return size // 10


def sinks(graph: Edges) -> list[int]:
    """Return the steps on which no other step depends, in order."""
    needed = {source for inputs in graph for source in inputs}
    return [index for index in range(len(graph)) if index not in needed]


def name(index: int) -> str:
    """Return the name of a step, the same in every tool."""
    return f"s{index:06d}"


def start(index: int, seed: int) -> int:
    """Return the value a step begins with, before it has read its inputs."""
    return (index * 2654435761 + seed * 40503 + 1) % MODULUS


def combine(index: int, seed: int, inputs: Iterable[int]) -> int:
    """Return the value of a step, given the values of its inputs."""
    value = start(index, seed)
    for other in inputs:
        value = (value * 31 + other) % MODULUS
    return value


def write_step(output: Path | str, inputs: Iterable[Path | str], index: int, seed: int) -> None:
    """Do what every Python step does: read its inputs, write ten bytes."""
    values = []
    for path in inputs:
        with open(path, "rb") as stream:
            values.append(int(stream.read()))
    with open(output, "wb") as stream:
        stream.write(b"%010d" % combine(index, seed, values))


def expected(graph: Edges, step_seeds: Sequence[int]) -> list[bytes]:
    """Return what every step must have written."""
    values: list[int] = []
    for index, inputs in enumerate(graph):
        values.append(combine(index, step_seeds[index], (values[source] for source in inputs)))
    return [b"%010d" % value for value in values]


def _wide(leaves: int) -> Edges:
    """Return `leaves` independent steps, then reductions of `FAN_IN` each, up to a single one."""
    graph: list[tuple[int, ...]] = [()] * leaves
    level = range(leaves)
    while len(level) > 1:
        first = len(graph)
        graph.extend(tuple(level[at : at + FAN_IN]) for at in range(0, len(level), FAN_IN))
        level = range(first, len(graph))
    return graph


def _layers(size: int) -> Edges:
    """Return layers of about sqrt(size) steps; each needs three steps of the layer before."""
    width = isqrt(size)
    half = width // 2
    graph: list[tuple[int, ...]] = []
    for index in range(size):
        layer, place = divmod(index, width)
        if layer == 0:
            graph.append(())
            continue
        offsets = (
            0,
            1 + (7 * layer + 3 * place) % (half - 1),
            half + (11 * layer + 5 * place) % (width - half),
        )
        before = (layer - 1) * width
        graph.append(tuple(before + (place + offset) % width for offset in offsets))
    return graph
