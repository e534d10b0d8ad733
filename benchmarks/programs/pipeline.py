"""The graph as a marin-build pipeline. Lies beside `graph_shapes.py` when it runs."""

from typing import TYPE_CHECKING

from marin_build import StepSpec

if TYPE_CHECKING:
    from benchmarks import graph_shapes
else:
    import graph_shapes


def declare(index: int, seed: int, deps: list[StepSpec]) -> StepSpec:
    """One step, whose function finds its inputs where its dependencies put them."""

    def build(output_path: str) -> None:
        inputs = [f"{path}/out" for path in step.dep_paths]
        graph_shapes.write_step(f"{output_path}/out", inputs, index, seed)

    attributes = {"i": index, "seed": seed}
    step = StepSpec(name=graph_shapes.name(index), fn=build, deps=deps, hash_attrs=attributes)
    return step


def pipeline(shape: str = "layers", n: int = 1000, generation: int = 0) -> list[StepSpec]:
    """Declare all steps of one graph; return those on which no other step depends."""
    graph = graph_shapes.edges(shape, n)
    seeds = graph_shapes.seeds(shape, n, len(graph), generation)
    steps: list[StepSpec] = []
    for index, inputs in enumerate(graph):
        steps.append(declare(index, seeds[index], [steps[source] for source in inputs]))
    return [steps[index] for index in graph_shapes.sinks(graph)]
