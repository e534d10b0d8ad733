"""A private Slurm cluster for tests: munged, slurmctld and some slurmds, all on loopback.

The daemons end with the test process, even if it is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import answer_of, tied
from .slurm_config import write_cluster, write_first_id
from .slurm_report import cluster_report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_UP_WITHIN = 240.0
_IDS_OF_A_START = 10_000
"""More jobs than tests submit between two starts of a controller."""


def find_slurm() -> bool:
    """Return whether Slurm can be run here: its programs are there, and we are root."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return os.geteuid() == 0 and all(shutil.which(name, path=path) for name in _PROGRAMS)


def wait_until(happens: Callable[[], object], patience: float) -> None:
    """Ask until Slurm, or a job, has done something; neither has an event for it.

    Raises:
        TimeoutError: it did not happen within so many seconds.

    """
    deadline = time.monotonic() + patience
    while not happens():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


@dataclass
class Cluster:
    """A cluster in a folder.

    Args:
        folder: everything that belongs to it.
        nodes: how many nodes; each has 64 CPUs and 4 chips of a TPU and 2 GPUs.
        lost_after: seconds without a word from a node until it is down.
        options: further lines of its configuration.

    """

    folder: Path
    nodes: int = 3
    lost_after: int = 300
    options: Sequence[str] = ()
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _first_id: int = 1

    @property
    def config(self) -> Path:
        """What SLURM_CONF names."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {"SLURM_CONF": str(self.config)}

    def write(self) -> None:
        """Write its configuration."""
        write_cluster(self.folder, self._names, self.lost_after, self.options)

    def start(self) -> None:
        """Start all of it, and wait until every node takes jobs."""
        munge = self.folder / "munge"
        options = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        words = [f"--{option}={munge}/{name}" for option, name in options.items()]
        words += ["--foreground", "--force", f"--log-file={self.folder}/logs/munged.log"]
        self._run("munged", ["munged", *words])
        self._wait((munge / "socket").exists)
        self.start_controller()
        for name in self._names:
            self.start_node(name)
        self.wait_until_idle()

    def restart_controller(self, *, ids_may_come_twice: bool = False) -> None:
        """Start the controller again after it was killed; it reads what it saved.

        Args:
            ids_may_come_twice: whether other jobs get the ids of jobs that it had not saved. A node
                refuses a job whose id it knows: it is drained, and Slurm holds the job.

        """
        if not ids_may_come_twice:
            self._first_id += _IDS_OF_A_START
            write_first_id(self.config, self._first_id)
        self.start_controller()

    def start_controller(self) -> None:
        """Start the controller."""
        self._run("slurmctld", ["slurmctld", "-D", "-f", str(self.config)])
        self._wait(lambda: bool(self.call("sinfo", "--noheader")))

    def end_all_jobs(self) -> None:
        """Cancel all jobs, and wait until their nodes take others."""

        def are_gone() -> bool:
            if self.is_empty():
                return True
            self.call("scancel", "--quiet", "--me")  # again, if a busy controller gave no answer
            return False

        self._wait(are_gone)
        self.wait_until_idle()

    def is_empty(self) -> bool:
        """Return whether no job waits or runs; False if the controller gives no answer."""
        return len(self.call("squeue").splitlines()) == 1  # the titles of the columns

    def wait_until_idle(self) -> None:
        """Wait until all nodes answer the controller and run nothing.

        A node on which a job could not be started is drained: Slurm waits for an administrator.
        """

        def are_idle() -> bool:
            states = self.call("sinfo", "--noheader", "--format=%t").split()
            if any(state.startswith(("drain", "drng", "down")) for state in states):
                self.call("scontrol", "update", f"NodeName={','.join(self._names)}", "State=RESUME")
            return states == ["idle"]

        self._wait(are_idle)

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._run(name, ["slurmd", "-D", "-f", str(self.config), "-N", name])

    def kill(self, name: str) -> None:
        """Kill a daemon: `slurmctld`, or that of a node, where what runs goes on."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def pid(self, name: str) -> int:
        """Return the process id of a daemon."""
        return self._processes[name].pid

    def kill_machine(self, name: str) -> None:
        """Kill all that runs on a node: its daemon first, which cannot report an end then."""
        self.kill(name)
        self._kill_jobs([name])

    def _kill_jobs(self, nodes: Sequence[str], keepers: Iterable[int] = ()) -> None:
        """Kill what runs on nodes, and before it what would report its end."""
        names = {f"SLURMD_NODENAME={name}" for name in nodes}
        jobs = [pid for pid, begun in self._living() if names & begun]
        parents = {parent for pid in jobs if _keeps_jobs(parent := _parent_of(pid))}
        for pid in [*parents, *keepers, *jobs]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _living(self) -> Iterator[tuple[int, frozenset[str]]]:
        """Return the processes that know this cluster, and the environments they began with."""
        for folder in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                text = Path("/proc", folder, "environ").read_bytes().decode("utf-8", "replace")
                begun = frozenset(text.split("\0"))
                if f"SLURM_CONF={self.config}" in begun:
                    yield int(folder), begun

    def stop(self) -> None:
        """Kill everything, jobs included: what is asked to end waits for nodes that are lost."""
        for name in list(self._processes):
            self.kill(name)
        self._kill_jobs(self._names, [pid for pid, _ in self._living() if _keeps_jobs(pid)])

    @property
    def _names(self) -> list[str]:
        return [f"n{i + 1}" for i in range(self.nodes)]

    def call(self, *words: str) -> str:
        """Return what one of Slurm's programs prints; empty if it fails."""
        return answer_of(words, self.environment)

    def report(self) -> str:
        """Return what its programs and its logs say now."""
        return cluster_report(self.folder, self.environment)

    def _run(self, name: str, argv: Sequence[str]) -> None:
        environment = os.environ | self.environment
        environment["PATH"] += ":/usr/sbin:/sbin"
        with (self.folder / "logs" / f"{name}.out").open("ab") as out:
            self._processes[name] = subprocess.Popen(
                tied(argv), env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def _wait(self, happens: Callable[[], bool]) -> None:
        try:
            wait_until(happens, _UP_WITHIN)
        except TimeoutError as error:
            raise RuntimeError(f"the cluster does not come up:\n{self.report()}") from error


def _parent_of(pid: int) -> int:
    """Return the parent of a process; 0 if that has ended."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _keeps_jobs(pid: int) -> bool:
    """Return whether a node keeps a job with this process, and hears from it how that ends."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().startswith("slurmstepd")
    return False


@contextmanager
def slurm_cluster(
    folder: Path, nodes: int = 3, *, lost_after: int = 300, options: Sequence[str] = ()
) -> Iterator[Cluster]:
    """Run a cluster in a folder."""
    cluster = Cluster(folder, nodes, lost_after, options)
    cluster.write()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
