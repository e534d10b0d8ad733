"""Jobs that a node fails to start, and that Slurm holds for ever: no plan waits unseen for them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.servers.slurm import find_slurm, slurm_cluster, wait_until

from .conftest import pytest_runtest_makereport
from .slurm_support import SETTINGS, fork_jobs, on_cluster, start_again, until_built
from .support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

PIPELINE = """\
from pathlib import Path
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent
ROOM = ResourceConfig.with_cpu(1)


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name}\\n")


@step(resources=ROOM)
def corpus(output: Path) -> int:
    ran("corpus")
    return 3


@step(resources=ROOM)
def report(output: Path, corpus: int) -> int:
    ran("report")
    return corpus


def pipeline():
    return report(corpus=corpus())
"""
ONCE = {"corpus": 1, "report": 1}
HELD = "PENDING (launch failed requeued held)"


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose next node fails once to start a job, if there is a file `fail`."""
    folder = tmp_path_factory.mktemp("slurm")
    prolog = folder / "prolog"
    prolog.write_text(f"#!/bin/sh\n! /bin/mv {folder}/fail {folder}/failed\n")
    prolog.chmod(0o755)
    with slurm_cluster(folder, 2, options=[f"Prolog={prolog}"]) as made:
        yield made


@pytest.fixture
def on_slurm(project: Project, failing: Cluster, gate: Gate) -> Iterator[Project]:
    """A project all of whose steps go to the cluster, where the first start fails."""
    with on_cluster(project, failing, gate, PIPELINE, SETTINGS) as made:
        fork_jobs(made)
        (failing.folder / "fail").touch()
        yield made


def _until_held(cluster: Cluster) -> None:
    reasons = ("squeue", "--noheader", "--format=%T (%r)")
    wait_until(lambda: HELD in cluster.call(*reasons).splitlines(), PATIENCE)


def test_a_detached_job_that_is_held_is_told_and_goes_on(
    on_slurm: Project, failing: Cluster
) -> None:
    """Else a plan that nobody follows waits for ever, and looks as if it waited its turn."""
    first = on_slurm.run("apply", "--detach")
    assert first.code == 0, first.err
    corpus, report = (line.split()[-1] for line in first.out.splitlines()[:2])
    _until_held(failing)
    told = on_slurm.run("status", "--json").document
    jobs = {each["name"]: each["job"] for each in told["targets"]}
    id_ = corpus.removeprefix("slurm:")
    hint = f"Slurm could not start it, and holds it: `scontrol release {id_}` lets it start"
    assert jobs["corpus"] == {"job": corpus, "words": HELD, "place": None, "hint": hint}
    assert jobs["report"]["words"] == "PENDING (Dependency)"
    assert f"{corpus}, {HELD}; {hint}\n" in on_slurm.run("status", "corpus").out

    again = on_slurm.run("apply", "--detach")
    assert again.code == 0, again.err
    assert [line.split()[-1] for line in again.out.splitlines()[:2]] == [corpus, report]
    start_again(failing, id_)
    until_built(on_slurm, "report")  # by the job that waited for the held one
    assert on_slurm.counts() == ONCE


def test_an_apply_replaces_a_job_that_is_held(on_slurm: Project) -> None:
    """Else a run waits for ever for a job that only a person can release."""
    done = on_slurm.run("apply", "--json")
    assert done.code == 0, done.err
    jobs = [each["job"] for each in done.events if each["event"] == "job_moved"]
    assert len(set(jobs)) == len(ONCE) + 1
    assert on_slurm.counts() == ONCE


def test_a_test_that_fails_shows_what_the_cluster_says(on_slurm: Project, failing: Cluster) -> None:
    """Else the next job that a cluster refuses leaves no trace but that nothing happened."""
    assert on_slurm.run("apply", "--detach").code == 0
    _until_held(failing)
    (on_slurm.root / ".marin-build/slurm/mb-x-1.log").write_text("marin-build: not found\n")
    report: Any = SimpleNamespace(failed=True, sections=[])
    item = SimpleNamespace(funcargs={"on_slurm": on_slurm, "failing": failing})
    hook = pytest_runtest_makereport(cast("pytest.Item", item))
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)
    told = dict(report.sections)
    assert "launch failed requeued held" in told["Slurm"]  # of the queue
    assert "Prolog error" in told["Slurm"]  # of the node
    assert "prolog failed" in told["Slurm"].lower()  # in the log of the node
    assert "marin-build: not found" in told["jobs and steps"]
