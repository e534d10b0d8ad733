"""A private Slurm cluster for tests: munged, slurmctld and some slurmds, all on loopback.

The daemons end with the test process, even if it is killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .programs import answer_of, tied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

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
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()


@dataclass
class Cluster:
    """A cluster in a folder.

    Args:
        folder: everything that belongs to it.
        nodes: how many nodes; each has 64 CPUs and 4 chips of a TPU and 2 GPUs.

    """

    folder: Path
    nodes: int = 3
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
            f"AuthInfo=socket={self.folder}/munge/socket",
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
            "SlurmdTimeout=300",
            "KillWait=5",
            "MailProg=/bin/true",
            "GresTypes=gpu,tpu",
            "MaxArraySize=2000",
            "MaxJobCount=5000",
        ]
        names = [f"n{i + 1}" for i in range(self.nodes)]
        lines += [
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64"
            " RealMemory=64000 Gres=gpu:h100:2,tpu:4"
            for name, port in zip(names, daemons, strict=True)
        ]
        lines += [
            f"PartitionName=main Nodes={','.join(names)} Default=YES MaxTime=INFINITE State=UP",
        ]
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
        for i in range(self.nodes):
            self.start_node(f"n{i + 1}")
        self.wait_until_idle()

    def start_controller(self) -> None:
        """Start the controller; what it saved is read again."""
        self._run("slurmctld", ["slurmctld", "-D", "-f", str(self.config)])
        self._wait(lambda: bool(self.call("sinfo", "--noheader")))

    def end_all_jobs(self) -> None:
        """Cancel all jobs, and wait until their nodes take others."""
        self.call("scancel", "--quiet", "--me")
        self._wait(lambda: not self.call("squeue", "--noheader").strip())
        self.wait_until_idle()

    def wait_until_idle(self) -> None:
        """Wait until all nodes answer the controller and run nothing.

        A node on which a job could not be started is drained: Slurm waits for an administrator.
        """

        def are_idle() -> bool:
            states = self.call("sinfo", "--noheader", "--format=%t").split()
            if any(state.startswith(("drain", "drng", "down")) for state in states):
                nodes = ",".join(f"n{i + 1}" for i in range(self.nodes))
                self.call("scontrol", "update", f"NodeName={nodes}", "State=RESUME")
            return states == ["idle"]

        self._wait(are_idle)

    def start_node(self, name: str) -> None:
        """Start the daemon of a node."""
        self._run(name, ["slurmd", "-D", "-f", str(self.config), "-N", name])

    def kill(self, name: str) -> None:
        """Kill a daemon: `slurmctld`, or a node; what runs there goes on."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End everything, jobs included."""
        with suppress(OSError, subprocess.SubprocessError):
            self.call("scancel", "--signal=KILL", "--full", "--me")
            self.call("scancel", "--me")
        for name in list(self._processes):
            process = self._processes.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

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


@contextmanager
def slurm_cluster(folder: Path, nodes: int = 3) -> Iterator[Cluster]:
    """Run a cluster in a folder."""
    cluster = Cluster(folder, nodes)
    cluster.write()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
