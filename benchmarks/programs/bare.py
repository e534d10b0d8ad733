"""A bare Python program that does what a build tool cannot avoid. Lies beside `graph_shapes.py`.

    check   read the JSON plan the last build left, stat every output
    plan    make the objects, hash them, stat every output
    build   the same, then run what is missing, one step after the other

Environment: BENCH_SHAPE, BENCH_SIZE, BENCH_GENERATION.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks import graph_shapes
else:
    import graph_shapes

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Step:
    """As much of a step as has to be hashed."""

    name: str
    attributes: dict[str, int]
    needs: tuple[str, ...]

    def key(self) -> str:
        """Return the name with the hash of the step's identity, upstream identities included."""
        identity = {"name": self.name, "attrs": self.attributes, "deps": sorted(self.needs)}
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return f"{self.name}_{digest[:8]}"


def missing(outputs: list[str]) -> list[int]:
    """Return the indices of the outputs that are not there."""
    found = []
    for index, path in enumerate(outputs):
        try:
            os.stat(path)
        except FileNotFoundError:
            found.append(index)
    return found


def main(action: str) -> int:
    """Run one of the three actions."""
    if action == "check":
        with open(PLAN) as stream:
            return len(missing(json.load(stream))) > 0
    size = int(os.environ["BENCH_SIZE"])
    shape = os.environ["BENCH_SHAPE"]
    graph = graph_shapes.edges(shape, size)
    seeds = graph_shapes.seeds(shape, size, len(graph), int(os.environ["BENCH_GENERATION"]))
    keys: list[str] = []
    for index, inputs in enumerate(graph):
        attributes = {"i": index, "seed": seeds[index]}
        step = Step(graph_shapes.name(index), attributes, tuple(keys[other] for other in inputs))
        keys.append(step.key())
    outputs = [f"outputs/{key}/out" for key in keys]
    absent = missing(outputs)
    if action == "build":
        for index in absent:
            os.makedirs(os.path.dirname(outputs[index]))
            inputs = graph[index]
            paths = [outputs[other] for other in inputs]
            graph_shapes.write_step(outputs[index], paths, index, seeds[index])
        with open(PLAN, "w") as stream:
            json.dump(outputs, stream)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
