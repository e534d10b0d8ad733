"""One plan for several engines: a private Slurm cluster, containers of podman, and this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers.podman import find_podman, private_podman
from tests.servers.slurm import find_slurm

from .support import PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Project

pytestmark = pytest.mark.skipif(
    not (find_slurm() and find_podman()), reason="needs Slurm and podman, and to be root"
)

PIPELINE = """\
import os
from pathlib import Path

from marin_build import ResourceConfig, step

HERE = Path(__file__).parent


def ran(name):
    boxed = os.path.exists("/run/.containerenv")
    place = "slurm" if "SLURM_JOB_ID" in os.environ else "container" if boxed else "here"
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name} {place}\\n")


@step(resources=ResourceConfig.with_cpu(1, ram="256Mi", image="/:O"))
def boxed(output: Path) -> int:
    ran("boxed")
    return 2


@step(resources=ResourceConfig.with_gpu("h100", 1, cpu=2))
def model(output: Path, boxed: int) -> int:
    ran("model")
    return boxed + 1


@step(resources=ResourceConfig.with_cpu(1))
def report(output: Path, model: int) -> int:
    ran("report")
    return model + 1


def pipeline():
    return report(model=model(boxed=boxed()))
"""
CONFIGURATION = f"""\
engine = "gpu=slurm,image=container"

[slurm]
poll = 0.5
program = "{PROGRAM}"

[container]
poll = 0.3
program = "{PROGRAM}"
options = ["--rootfs", "--timeout={2 * PATIENCE:.0f}"]
"""
EVERYWHERE = "boxed container\nmodel slurm\nreport here\n"


@pytest.fixture
def mixed(
    project: Project, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    """A project whose steps go to three engines."""
    project.pipeline(PIPELINE)
    project.write("marin-build.toml", CONFIGURATION)
    with private_podman(tmp_path_factory.mktemp("podman")) as podman:
        project.environment |= cluster.environment | podman.environment
        yield project
    cluster.end_all_jobs()


def test_each_step_is_built_where_its_rule_says(mixed: Project) -> None:
    """Else a pipeline with GPU steps needs one run for each kind of machine."""
    planned = mixed.run("plan", "-o", "there")
    assert planned.code == 0, planned.err
    lines = {line.split()[2].rpartition("_")[0]: line for line in planned.out.splitlines()[:3]}
    assert "container 1 cpu" in lines["boxed"]
    assert "slurm 1x h100" in lines["model"]
    assert "slurm" not in lines["report"]
    specs = [line.rpartition(": ")[2] for line in lines.values() if "there/" in line]
    assert len(specs) == 2  # what a reviewer of the dear steps has to read
    assert all((mixed.root / spec).is_file() for spec in specs)
    facts = dict(line.split(maxsplit=1) for line in mixed.run("explain", "model").out.splitlines())
    assert facts["engine"].startswith("slurm: steps/model_")
    done = mixed.run("apply", "there", "--json")
    assert done.code == 0, done.err
    assert mixed.file("ran.txt") == EVERYWHERE
    jobs = {e["name"]: e["job"].partition(":")[0] for e in done.events if e["event"] == "job_moved"}
    assert jobs == {"boxed": "container", "model": "slurm"}
    assert mixed.run("apply").out.startswith("nothing to do: 3 targets are reused\n")


def test_the_command_line_stands_above_the_rules(mixed: Project) -> None:
    """Else nobody can try a pipeline on one machine that a profile spreads over several."""
    done = mixed.run("apply", "--engine", "image=local,gpu=slurm")
    assert done.code == 0, done.err
    assert mixed.file("ran.txt") == "boxed here\nmodel slurm\nreport here\n"
