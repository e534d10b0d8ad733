"""A private Slurm cluster for tests: munged, slurmctld and some slurmds, all on loopback.

The daemons end with the test process, even if it is killed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import answer_of, tied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_UP_WITHIN = 60.0


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


def _free_ports(count: int) -> list[int]:
    """Return ports that the kernel gives to no connection in the moment before a daemon binds them.

    They lie below ip_local_port_range, and are random: other clusters start at the same time.
    """
    found: set[int] = set()
    while len(found) < count:
        port = secrets.randbelow(17_000) + 15_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.add(port)
    return list(found)


@dataclass
class Cluster:
    """A cluster in a folder.

    Args:
        folder: everything that belongs to it.
        nodes: how many nodes; each has 64 CPUs and 4 chips of a TPU and 2 GPUs.
        lost_after: seconds without a word from a node until it is down.
        requeued_after: seconds until a job starts again after its node was lost.

    """

    folder: Path
    nodes: int = 3
    lost_after: int = 300
    requeued_after: int = 120
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

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
        for name in ("state", "spool", "logs", "munge"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "munge").chmod(0o755)
        key = self.folder / "munge" / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        control, *daemons = _free_ports(1 + self.nodes)
        host = socket.gethostname()
        lines = [
            "ClusterName=private",
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={control}",
            # A job that is requeued waits until what allowed its first start has surely expired.
            f"AuthInfo=socket={self.folder}/munge/socket,cred_expire={self.requeued_after}",
            "SlurmUser=root",
            "SlurmdUser=root",
            f"StateSaveLocation={self.folder}/state",
            f"SlurmdSpoolDir={self.folder}/spool/%n",
            f"SlurmctldPidFile={self.folder}/slurmctld.pid",
            f"SlurmdPidFile={self.folder}/slurmd-%n.pid",
            f"SlurmctldLogFile={self.folder}/logs/slurmctld.log",
            f"SlurmdLogFile={self.folder}/logs/slurmd-%n.log",
            "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none",
            "SlurmdParameters=config_overrides",
            "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_CPU",
            "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
            "SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0",
            "JobCompType=jobcomp/filetxt",
            f"JobCompLoc={self.folder}/logs/completed",
            "ReturnToService=2",
            f"SlurmdTimeout={self.lost_after}",
            f"MessageTimeout={min(10, self.lost_after)}",
            "KillWait=5",
            "MailProg=/bin/true",
            "GresTypes=gpu,tpu",
            "MaxArraySize=2000",
            "MaxJobCount=5000",
        ]
        lines += [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64"
            " RealMemory=64000 Gres=gpu:h100:2,tpu:4"
            for name, port in zip(self._names, daemons, strict=True)
        ]
        names = ",".join(self._names)
        lines += [f"PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP"]
        self.config.write_text("\n".join(lines) + "\n")
        devices = self.folder / "devices"
        devices.mkdir(exist_ok=True)
        for name in ("gpu0", "gpu1", "tpu0", "tpu1", "tpu2", "tpu3"):
            (devices / name).touch()
        (self.folder / "gres.conf").write_text(
            f"Name=gpu Type=h100 File={devices}/gpu[0-1]\nName=tpu File={devices}/tpu[0-3]\n"
        )

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

    def start_controller(self) -> None:
        """Start the controller; what it saved is read again."""
        self._run("slurmctld", ["slurmctld", "-D", "-f", str(self.config)])
        self._wait(lambda: bool(self.call("sinfo", "--noheader")))

    def end_all_jobs(self) -> None:
        """Cancel all jobs, and wait until their nodes take others."""
        self.call("scancel", "--quiet", "--me")
        self._wait(self.is_empty)
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
            logs = [path.read_text()[-2000:] for path in (self.folder / "logs").iterdir()]
            raise RuntimeError("the cluster does not come up:\n" + "\n".join(logs)) from error


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
    folder: Path, nodes: int = 3, *, lost_after: int = 300, requeued_after: int = 120
) -> Iterator[Cluster]:
    """Run a cluster in a folder."""
    cluster = Cluster(folder, nodes, lost_after, requeued_after)
    cluster.write()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
