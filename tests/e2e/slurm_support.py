"""Projects whose steps go to the private Slurm cluster of these tests."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tests.servers.slurm import Cluster, wait_until
from tests.servers.slurm_report import file_end

from .resident import resident_for
from .support import OUTPUTS, PATIENCE, PROGRAM, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from .support import Gate

_LOGS = (".marin-build/slurm/*.log", ".logs/*.log")
_MOST_LOGS = 12
SETTINGS = 'engine = "slurm"\n[slurm]\npoll = 0.5\n'


def use_cluster(
    project: Project, cluster: Cluster, gate: Gate, pipeline: str, settings: str = SETTINGS
) -> None:
    """Have a project's steps with resources go to a cluster."""
    project.environment |= cluster.environment
    project.pipeline(pipeline)
    program = f'program = "{PROGRAM}"\nsetup = ["export GATE={gate.folder}"]\n'
    project.write("marin-build.toml", f"{settings}{program}")


@contextmanager
def on_cluster(
    project: Project, cluster: Cluster, gate: Gate, pipeline: str, settings: str = SETTINGS
) -> Iterator[Project]:
    """Have a project's steps with resources go to a cluster; end its jobs at the end."""
    use_cluster(project, cluster, gate, pipeline, settings)
    yield project
    cluster.end_all_jobs()  # what one test leaves must not fail the next


def fork_jobs(project: Project) -> None:
    """Have jobs fork the resident process instead of loading Python."""
    environ = project.environ()
    resident = resident_for(PROGRAM, environ)
    assert resident is not None
    begins = " ".join(f"{name}={environ[name]}" for name in ("LANG", "PYTHONWARNINGS"))
    text = project.file("marin-build.toml")
    text = text.replace(f'"{PROGRAM}"', f'"{resident.folder / PROGRAM.name}"')
    text = text.replace('["export ', f'["export {begins} ')
    project.write("marin-build.toml", text)


def until_built(project: Project, name: str) -> None:
    """Wait until a step has committed its output."""
    wait_until(lambda: list((project.root / OUTPUTS).glob(f"{name}_*/.executor_info")), PATIENCE)


def start_again(cluster: Cluster, job: str) -> None:
    """Wait until a job is back in the queue; have it start in seconds instead of two minutes.

    A node starts no job in the second in which it ended it.
    """
    words = ("squeue", "--noheader", "--format=%t", f"--jobs={job}")
    wait_until(lambda: cluster.call(*words).strip() == "PD", PATIENCE)
    cluster.call("scontrol", "update", f"JobId={job}", "StartTime=now+3")


def until_empty(cluster: Cluster) -> None:
    """Wait until no job waits or runs."""
    wait_until(cluster.is_empty, PATIENCE)


def report_on(values: Iterable[object]) -> Iterator[tuple[str, str]]:
    """Say how the clusters among the fixtures of a test stand, and what its jobs and steps printed.

    Yields:
        A title, and the text below it.

    """
    found = {id(each): each for each in values}.values()  # fixtures hand on what others made
    clusters = [each for each in found if isinstance(each, Cluster)]
    for project in (each for each in found if clusters and isinstance(each, Project)):
        yield "jobs and steps", "\n".join(file_end(path) for path in _newest_logs(project))
    for cluster in clusters:
        yield "Slurm", cluster.report()


def _newest_logs(project: Project) -> list[Path]:
    found: list[Path] = []
    with suppress(OSError):  # jobs may go on meanwhile
        found += [path for pattern in _LOGS for path in project.root.rglob(pattern)]
        found.sort(key=lambda path: path.stat().st_mtime)
    return found[-_MOST_LOGS:]
