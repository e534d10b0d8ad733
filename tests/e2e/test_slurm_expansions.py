"""Jobs of Slurm build steps that are known only once others are built."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm

from .slurm_support import fork_jobs, on_cluster, until_built

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

PIPELINE = """\
import os
from pathlib import Path

from marin_build import ResourceConfig, expand, step

HERE = Path(__file__).parent
GPU = ResourceConfig.with_gpu("h100", 1, cpu=2)


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name} {'here' if 'SLURM_JOB_ID' not in os.environ else 'job'}\\n")


@step(resources=GPU)
def find(output: Path, models: int) -> int:
    ran("find")
    return models


@step(name="evaluate/{model}", resources=GPU)
def evaluate(output: Path, model: int) -> int:
    ran(f"evaluate/{model}")
    return model


def pipeline(models: int = 2):
    found = find(models=models)

    @expand(found)
    def evaluations(count: int):
        return [evaluate(model) for model in range(count)]

    return [found, evaluations]
"""


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project whose steps all go to the cluster."""
    with on_cluster(project, cluster, gate, PIPELINE) as made:
        fork_jobs(made)
        yield made


def _ran(project: Project) -> set[str]:
    return set(project.file("ran.txt").splitlines())


def test_jobs_find_the_steps_that_the_run_learned_of(on_slurm: Project) -> None:
    """Else a job loads the pipeline and finds no step of its name."""
    done = on_slurm.run("apply", "--json")
    assert done.code == 0, done
    assert _ran(on_slurm) == {"find job", "evaluate/0 job", "evaluate/1 job"}
    assert on_slurm.run("apply").out.startswith("nothing to do: 3 targets are reused\n")


def test_a_plan_that_is_handed_over_says_what_has_no_job(on_slurm: Project) -> None:
    """Else a person waits for results that nobody computes."""
    done = on_slurm.run("apply", "--detach")
    assert done.code == 0, done
    assert "no jobs yet: the steps of evaluations, not known before" in done.out
    until_built(on_slurm, "find")
    assert on_slurm.run("apply", "-q").code == 0
    assert _ran(on_slurm) == {"find job", "evaluate/0 job", "evaluate/1 job"}
