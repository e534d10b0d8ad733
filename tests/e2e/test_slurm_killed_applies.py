"""Killed at any moment, a run on Slurm leaves its jobs to the next one, and nothing runs twice."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.slurm import find_slurm

from .slurm_support import fork_jobs, on_cluster, until_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.slurm import Cluster

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

NAMES = ("corpus", "left", "right")
ONCE = dict.fromkeys(NAMES, 1)
FEWEST_EVENTS = 2 + 3 * len(NAMES)
"""Of the run, and of each step: begun, submitted, ended."""

PIPELINE = '''\
import itertools, os, signal
from pathlib import Path
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent
ROOM = ResourceConfig.with_cpu(1)


def ran(output, name):
    with (HERE / f"ran-{output.parent.name}").open("a") as stream:
        stream.write(f"{name}\\n")


@step(resources=ROOM)
def corpus(output: Path) -> int:
    ran(output, "corpus")
    (output / "text").write_text("one two three")
    return 3


@step(name="{name}", resources=ROOM)
def side(output: Path, text: Path, name: str) -> str:
    ran(output, name)
    (output / "half").write_text((text / "text").read_text()[::-1])
    return name


def pipeline():
    text = corpus()
    return [side(text=text, name="left"), side(text=text, name="right")]


def killed_in(call):
    """Have the n-th call be the last thing that this process does."""
    count = itertools.count(1)

    def counted(*args):
        result = call(*args)
        if next(count) == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return counted


if "KILL_AT" in os.environ:
    from marin_build.apply import journal_writer
    from marin_build.cli.views.detached_text import DetachedView

    journal_writer.event_line = killed_in(journal_writer.event_line)
    DetachedView.handed = killed_in(DetachedView.handed)
'''


@pytest.fixture
def on_slurm(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project all of whose steps go to the cluster."""
    settings = 'engine = "slurm"\n[slurm]\npoll = 0.2\n'
    with on_cluster(project, cluster, gate, PIPELINE, settings) as made:
        fork_jobs(made)
        yield made


def _ran(project: Project, place: str) -> dict[str, int]:
    return project.counts(f"ran-{place}")


def test_killed_at_any_event_a_run_begins_again_and_nothing_runs_twice(on_slurm: Project) -> None:
    """Else a lost terminal costs days on many nodes, or has two jobs write one output."""
    calm = on_slurm.run("apply", "--prefix", "calm", "--json")
    assert (calm.code, _ran(on_slurm, "calm")) == (0, ONCE), calm
    # All at once: a job waits for Slurm much longer than it runs.
    places = {f"at-{n}": n for n in range(1, len(calm.events) + 1)}
    script = (
        'KILL_AT=$1 marin-build apply --prefix "at-$1" >&2; echo "$?"\n'
        'exec marin-build apply --prefix "at-$1" --json'
    )
    runs = [
        on_slurm.start_command(["bash", "-c", script, "", str(n)], env=on_slurm.forking())
        for n in places.values()
    ]
    done = [each.wait() for each in runs]
    assert {each.code for each in done} == {0}, done
    codes = [int(each.out.partition("\n")[0]) for each in done]
    # Whether Slurm says that a quick job runs, is luck: there may be fewer events this time.
    assert codes[:FEWEST_EVENTS] == [128 + signal.SIGKILL] * FEWEST_EVENTS, done
    assert {place: _ran(on_slurm, place) for place in places} == dict.fromkeys(places, ONCE)
    assert any('"adopted"' in each.out for each in done)
    for place in places:
        assert on_slurm.run("apply", "--prefix", place).out.startswith("nothing to do")


def test_a_detached_plan_that_was_half_submitted_is_completed_by_the_next_one(
    on_slurm: Project, cluster: Cluster
) -> None:
    """Else a killed `--detach` leaves a graph that nobody completes, or doubles its jobs."""
    ways = {f"{n}-{way}": (n, way) for n in (1, 2, 3) for way in ("detach", "follow")}
    killed = [
        on_slurm.start_command(
            ["marin-build", "apply", "--prefix", place, "--detach"],
            env=on_slurm.forking({"KILL_AT": str(n)}),
        )
        for place, (n, _) in ways.items()
    ]
    assert {each.wait().code for each in killed} == {-signal.SIGKILL}
    for place, (_, way) in ways.items():
        words = ["--detach"] if way == "detach" else []
        done = on_slurm.run("apply", "--prefix", place, *words)
        assert (done.code, done.err) == (0, ""), done
    until_empty(cluster)
    assert {place: _ran(on_slurm, place) for place in ways} == dict.fromkeys(ways, ONCE)
