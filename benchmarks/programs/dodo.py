"""The graph as doit tasks with Python actions. Lies beside `graph_shapes.py` when it runs.

Environment: BENCH_SHAPE, BENCH_SIZE, BENCH_GENERATION.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from doit.tools import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
    config_changed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks import graph_shapes
else:
    import graph_shapes

SHAPE = os.environ["BENCH_SHAPE"]
SIZE = int(os.environ["BENCH_SIZE"])
GENERATION = int(os.environ["BENCH_GENERATION"])

DOIT_CONFIG = {
    "backend": "json",
    "dep_file": "doit-state",
    "verbosity": 0,
    "reporter": "error-only",
}


def task_step() -> Iterator[dict[str, Any]]:
    """One sub-task for each step."""
    graph = graph_shapes.edges(SHAPE, SIZE)
    seeds = graph_shapes.seeds(SHAPE, SIZE, len(graph), GENERATION)
    paths = [f"out/{graph_shapes.name(index)}" for index in range(len(graph))]
    for index, inputs in enumerate(graph):
        files = [paths[source] for source in inputs]
        yield {
            "name": graph_shapes.name(index),
            "actions": [(graph_shapes.write_step, [paths[index], files, index, seeds[index]])],
            "file_dep": files,
            "targets": [paths[index]],
            "uptodate": [config_changed(str(seeds[index]))],
        }
