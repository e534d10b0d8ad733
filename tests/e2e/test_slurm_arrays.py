"""Arrays of Slurm, really run: many steps of one shape are one request, and stay many jobs."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from marin_build.engines.jobs import JobRequest, Phase
from marin_build.engines.slurm.command_line import SlurmQueue
from tests.servers.slurm import find_slurm, wait_until

from .slurm_support import fork_jobs
from .support import BIN, OUTPUTS, PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.slurm import Cluster

from .support import Gate, Project

pytestmark = pytest.mark.skipif(not find_slurm(), reason="needs Slurm, and to be root")

COUNT = 12
PIPELINE = f"""\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, step

HERE = Path(__file__).parent


def trial(number, gated):
    @step(name=f"trial/{{number}}", resources=ResourceConfig.with_cpu(8))
    def run(output: Path, number: int = number) -> int:
        with open(HERE / "ran.txt", "a") as stream:
            stream.write(f"trial/{{number}}\\n")
        if gated and number == 0:
            wait_at_gate("trial")
        if number == 3 and (HERE / "broken").exists():
            raise ValueError("no shard")
        return number

    return run()


@step
def best(output: Path, trials: list[int]) -> int:
    return max(trials)


def pipeline(gated: bool = False):
    return best(trials=[trial(number, gated) for number in range({COUNT})])
"""


@pytest.fixture
def sweep(project: Project, cluster: Cluster, gate: Gate) -> Iterator[Project]:
    """A project with twelve steps of one shape, which count the calls of `sbatch`."""
    folder = project.root / "bin"
    folder.mkdir()
    sbatch = folder / "sbatch"
    sbatch.write_text(f'#!/bin/sh\necho >> {folder}/calls\nexec /usr/bin/sbatch "$@"\n')
    sbatch.chmod(0o755)
    project.environment |= cluster.environment
    project.environment["PATH"] = f"{folder}:{BIN}:/usr/bin:/bin"
    project.write("pipeline.py", PIPELINE)
    setup = f'program = "{PROGRAM}"\nsetup = ["export GATE={gate.folder}"]\npoll = 0.5\n'
    project.write("marin-build.toml", f'engine = "slurm"\n[slurm]\n{setup}')
    fork_jobs(project)
    yield project
    cluster.end_all_jobs()


def _ran(project: Project) -> list[str]:
    return sorted(project.file("ran.txt").split(), key=lambda name: int(name.partition("/")[2]))


def _each_once() -> list[str]:
    return [f"trial/{number}" for number in range(COUNT)]


def _calls(project: Project) -> int:
    return len((project.root / "bin" / "calls").read_text().splitlines())


def test_steps_of_one_shape_are_submitted_together(sweep: Project) -> None:
    """Else a sweep of a thousand steps keeps the controller from all other work."""
    (sweep.root / "broken").touch()
    done = sweep.run("apply", "-k", "--json")
    assert done.code == 1
    assert done.names_of("step_failed") == ["trial/3"]
    assert _ran(sweep) == _each_once()
    assert _calls(sweep) == 1
    assert "no shard" in sweep.run("logs", "trial/3").out
    (attempt,) = (sweep.root / OUTPUTS).glob("trial/7_*/.logs/attempt-0001.json")
    record = json.loads(attempt.read_text())
    assert record["job"].startswith("slurm:")
    assert record["publish"]["record"]["queued_seconds"] >= 0
    (sweep.root / "broken").unlink()
    done = sweep.run("apply", "--json")
    assert done.code == 0, done.err
    assert len(_ran(sweep)) == COUNT + 1


def test_the_tasks_of_a_killed_apply_are_found_by_the_next(sweep: Project, gate: Gate) -> None:
    """Else a lost terminal means a thousand jobs twice."""
    first = sweep.start("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    second = sweep.start("apply", "--set", "gated=true", "--json")
    second.wait_event("job_moved")
    gate.let_go()
    done = second.wait()
    assert done.code == 0, done.err
    assert _ran(sweep) == _each_once()
    assert _calls(sweep) == 1


def test_a_detached_sweep_is_an_array_that_the_rest_waits_for(
    sweep: Project, cluster: Cluster
) -> None:
    """Else what needs the sweep starts too early, and ends without building anything."""
    done = sweep.run("apply", "--detach")
    assert done.code == 0, done.err
    assert _calls(sweep) == 2
    built = sweep.root / OUTPUTS
    wait_until(lambda: list(built.glob("best_*/.executor_info")), PATIENCE)
    assert _ran(sweep) == _each_once()
    assert "nothing to do" in sweep.run("apply").out


def test_a_thousand_jobs_cost_a_few_requests(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a large sweep is refused by a controller that answers everybody."""
    monkeypatch.setenv("SLURM_CONF", cluster.environment["SLURM_CONF"])
    words: list[str] = []
    ask = SlurmQueue._call

    def counted(queue: SlurmQueue, argv: list[str], *rest: object, **more: object) -> str:
        words.append(argv[0])
        return ask(queue, argv, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(SlurmQueue, "_call", counted)
    script = "#!/bin/bash\n#SBATCH --job-name={}\n#SBATCH --exclusive\nexec true\n"
    names = [f"mb-{number:04}-0123456789" for number in range(1000)]
    mine = SlurmQueue(str(tmp_path), str(tmp_path / "logs"), 1.0)
    jobs: dict[str, str] = {}
    for batch in mine.batches([JobRequest(name, script.format(name)) for name in names]):
        ids = mine.submit_batch(batch)
        jobs |= dict(zip(ids, (job.name for job in batch), strict=True))
    assert words == ["sbatch"]
    another = SlurmQueue(str(tmp_path), str(tmp_path / "logs"), 1.0)
    found = another.find(names[990:])
    assert found == {name: id_ for id_, name in jobs.items() if name in names[990:]}
    assert words[1:] == ["squeue", "scontrol"]
    del words[:]
    assert len(another.poll(jobs)) == len(jobs)
    assert set(words) <= {"squeue", "scontrol", "sacct"}
    assert len(words) <= 3
    wait_until(lambda: mine.output_of(next(iter(jobs))), PATIENCE)
    mine.cancel(jobs, kill=False)

    def have_ended() -> bool:
        return {state.phase for state in mine.poll(jobs).values()} == {Phase.ENDED}

    wait_until(have_ended, PATIENCE)
