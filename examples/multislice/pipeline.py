"""A step on two slices of a TPU, two hosts each, between two steps on one host.

    marin-build plan -o jobs
    marin-build apply

The four hosts of `train` are one gang: one lease, one output, one commit. If one of them is taken
away, all of them start again, and no try is counted.
"""

import regression
from marin_build import ResourceConfig, StepSpec, current_rank, step

SHARDS = 8
TPUS = ResourceConfig.with_tpu("v5p-16", slice_count=2)
ROOM = ResourceConfig.with_cpu(1, ram="1Gi")

make = step(name="data", resources=ROOM)(regression.make)


@step(resources=TPUS, retries=2, timeout=3600)
def train(output: str, data: str) -> list[float]:
    """Each host adds up its share; what the first one returns is what the step returns."""
    rank = current_rank()
    print(f"host {rank.number} of {rank.count}, led by {rank.leader}", flush=True)
    regression.add_up(output, data, SHARDS, rank.number, rank.count)
    return regression.solve(output, rank.count) if rank.number == 0 else []


@step(resources=ROOM)
def report(output: str, weights: list[float]) -> float:
    """Write how far the weights are from the answer, 1 to 8."""
    error = max(abs(w - i) for i, w in enumerate(weights, start=1))
    regression.write(f"{output}/report.md", f"largest error: {error:.4f}\n")
    return error


def pipeline() -> list[StepSpec]:
    """Declare all steps."""
    return [report(weights=train(data=make(rows=8000, shards=SHARDS, seed=1)))]
