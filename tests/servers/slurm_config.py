"""The configuration of a private Slurm cluster: one machine that plays all of its nodes."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_cluster(
    folder: Path, names: Sequence[str], lost_after: int, options: Sequence[str]
) -> None:
    """Write all that the daemons of a cluster read.

    Args:
        folder: everything that belongs to the cluster.
        names: of its nodes.
        lost_after: seconds without a word from a node until it is down.
        options: further lines of slurm.conf.

    """
    for name in ("state", "spool", "logs", "munge", "devices"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    devices = folder / "devices"
    for name in ("gpu0", "gpu1", "tpu0", "tpu1", "tpu2", "tpu3"):
        (devices / name).touch()
    (folder / "gres.conf").write_text(
        f"Name=gpu Type=h100 File={devices}/gpu[0-1]\nName=tpu File={devices}/tpu[0-3]\n"
    )
    lines = [*_lines(folder, names, lost_after), *options]
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")


def write_first_id(config: Path, first: int) -> None:
    """Say in slurm.conf which id the next job has at least; programs may read it meanwhile."""
    lines = [line for line in config.read_text().splitlines() if "FirstJobId=" not in line]
    new = config.with_suffix(".new")
    new.write_text("\n".join([*lines, f"FirstJobId={first}", ""]))
    new.replace(config)


def _lines(folder: Path, names: Sequence[str], lost_after: int) -> list[str]:
    control, *daemons = _free_ports(1 + len(names))
    host = socket.gethostname()
    lines = [
        "ClusterName=private",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={control}",
        f"AuthInfo=socket={folder}/munge/socket",
        "SlurmUser=root",
        "SlurmdUser=root",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool/%n",
        f"SlurmctldPidFile={folder}/slurmctld.pid",
        f"SlurmdPidFile={folder}/slurmd-%n.pid",
        f"SlurmctldLogFile={folder}/logs/slurmctld.log",
        f"SlurmdLogFile={folder}/logs/slurmd-%n.log",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SlurmdParameters=config_overrides",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "CommunicationParameters=NoCtldInAddrAny,NoInAddrAny",
        "SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0",
        "JobCompType=jobcomp/filetxt",
        f"JobCompLoc={folder}/logs/completed",
        "ReturnToService=2",
        f"SlurmdTimeout={lost_after}",
        f"MessageTimeout={min(10, lost_after)}",
        "KillWait=5",
        "MailProg=/bin/true",
        "GresTypes=gpu,tpu",
        "MaxArraySize=2000",
        "MaxJobCount=5000",
        "DebugFlags=NO_CONF_HASH",  # the controller alone reads which id comes first
    ]
    lines += [
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=64"
        " RealMemory=64000 Gres=gpu:h100:2,tpu:4"
        for name, port in zip(names, daemons, strict=True)
    ]
    nodes = ",".join(names)
    return [*lines, f"PartitionName=main Nodes={nodes} Default=YES MaxTime=INFINITE State=UP"]


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
