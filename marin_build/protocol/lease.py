"""The lease: who holds a target. Its sealed form commits.

On disk it is exactly {"worker_id", "timestamp"}, as Marin parses it; everything else is encoded
in `worker_id`, after the holder's name, as `key=value` words.
"""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import replace

from marin_build.errors import CorruptStateError
from marin_build.quick_dataclass import dataclass
from marin_build.text.moments import stamp
from marin_build.text.readable import printable
from marin_build.untrusted_json import parse_json, table

TIME_TO_LIVE = 60.0
"""Seconds after which an unchanged lease of ours is stale, as watched by the observer."""
FOREIGN_TIME_TO_LIVE = 90.0
"""The same for a lock Marin wrote."""
ADOPTING = "a-"
"""How the run id of an `adopt` begins: an interrupted one leaves no unfinished output."""
COLLECTING = "g-"
"""How the run id of a `gc`, or of a run that lets an output go, begins."""
UNKNOWN_HOLDER = "a_holder_whose_lease_is_empty"
_YEAR_10000 = 253402300800.0
_WORDS = ("run", "attempt", "nonce", "boot", "pid", "start", "since", "ttl", "job", "lock", "seal")


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim on a target.

    Args:
        worker: who, for people: `user@host`.
        timestamp: seconds since the epoch when it was last written, by the holder's clock; for
            people only, clocks of two machines are never compared.
        run: the run's id. Empty in a lock that Marin wrote.
        attempt: number of the attempt (the epoch).
        nonce: recognises the holder's own writes.
        boot, pid, start: the holder's process, for observers on the same host.
        since: seconds since the epoch when it was taken, by the holder's clock, for people; 0 if it
            does not say.
        ttl: seconds it holds unchanged, where that is not TIME_TO_LIVE; else 0.
        job: engine and id of the job it runs in, `slurm:1234`; empty outside any.
        lock: which file the kernel's lock of the holder is on; empty if it has none. Who gets the
            lock on that very file knows that the holder is gone.
        seal: sha-256 of the attempt document this lease commits, or empty.

    """

    worker: str
    timestamp: float
    run: str = ""
    attempt: int = 0
    nonce: str = ""
    boot: str = ""
    pid: int = 0
    start: int = 0
    since: float = 0.0
    ttl: float = 0.0
    job: str = ""
    lock: str = ""
    seal: str = ""

    @property
    def is_sealed(self) -> bool:
        """Whether it commits an attempt: then it is never taken over."""
        return bool(self.seal)

    @property
    def is_adopting(self) -> bool:
        """Whether its holder adopts data: neither it nor its status shows that a run built that."""
        return self.run.startswith(ADOPTING)

    @property
    def is_collecting(self) -> bool:
        """Whether its holder deletes the output: it builds nothing, and reads nothing."""
        return self.run.startswith(COLLECTING)

    @property
    def engine(self) -> str:
        """The engine that runs the holder."""
        return self.job.partition(":")[0] or "local"

    @property
    def time_to_live(self) -> float:
        """Seconds it holds unchanged."""
        if self.ttl:
            return self.ttl
        return TIME_TO_LIVE if self.nonce else FOREIGN_TIME_TO_LIVE

    @property
    def written_at(self) -> str:
        """When it was last written, by the holder's clock: ISO 8601 in UTC, for people."""
        return stamp(self.timestamp, "seconds")

    @property
    def taken_at(self) -> str:
        """When it was taken, by the holder's clock: ISO 8601 in UTC; empty if it does not say."""
        return stamp(self.since, "seconds") if self.since else ""

    def encode(self) -> bytes:
        """Return the bytes of the lock file."""
        words = [f"{name}={getattr(self, name)}" for name in _WORDS if getattr(self, name)]
        worker_id = " ".join([self.worker, *words])
        return json.dumps({"worker_id": worker_id, "timestamp": self.timestamp}).encode()

    def renewed(self, timestamp: float) -> Lease:
        """Return the same lease with a new time."""
        return replace(self, timestamp=timestamp)

    def sealed(self, digest: str, timestamp: float) -> Lease:
        """Return its final form, which commits the attempt document of that digest."""
        return replace(self, seal=digest, timestamp=timestamp)

    def describe(self) -> str:
        """Return who holds it, for people, on one line: any program may have written it."""
        parts = [self.worker]
        if self.run:
            parts.append(f"run {self.run}")
        if self.attempt:
            parts.append(f"attempt {self.attempt}")
        if self.job:
            parts.append(f"job {self.job}")
        return printable(", ".join(parts))


def parse_lease(data: bytes, path: str) -> Lease:
    """Return the lease in a lock file, ours or Marin's.

    An empty one has a holder that is not known, and is stale as Marin's are: the machine went down
    before it was on disk, or Marin is just writing it.

    Raises:
        CorruptStateError: not JSON with the two keys.

    """
    if not data:
        return Lease(UNKNOWN_HOLDER, 0.0)
    try:
        return _parse(table(parse_json(data)))
    except (ValueError, KeyError, TypeError, OverflowError):
        raise CorruptStateError(
            f"the lock file `{path}` is not readable",
            facts=[("content", repr(data[:60].decode("utf-8", "replace")))],
            consequence="another run may hold this target",
            hint="make sure that no run builds it, then delete the file",
        ) from None


def _parse(document: dict[str, object]) -> Lease:
    worker_id, timestamp = str(document["worker_id"]), _date(str(document["timestamp"]))
    worker, *words = worker_id.split(" ")
    known = dict(word.split("=", 1) for word in words if "=" in word)
    if "nonce" not in known:
        return Lease(worker_id, timestamp)
    ttl = float(known.get("ttl", 0.0))
    if not 0 <= ttl < math.inf:  # else it would never be stale
        raise ValueError(ttl)
    return Lease(
        worker,
        timestamp,
        run=known.get("run", ""),
        attempt=int(known.get("attempt", 0)),
        nonce=known["nonce"],
        boot=known.get("boot", ""),
        pid=int(known.get("pid", 0)),
        start=int(known.get("start", 0)),
        since=_date(known.get("since", "0")),
        ttl=ttl,
        job=known.get("job", ""),
        lock=known.get("lock", ""),
        seal=known.get("seal", ""),
    )


def _date(text: str) -> float:
    timestamp = float(text)
    if not 0 <= timestamp < _YEAR_10000:  # nor NaN: it is shown as a date
        raise ValueError(timestamp)
    return timestamp


@dataclass(frozen=True, slots=True)
class Host:
    """This machine, as leases name it. `boot` is empty where the system does not tell."""

    worker: str
    boot: str

    @property
    def machine_boot(self) -> str:
        """The boot of the machine, whatever container this is in."""
        return self.boot.partition("/")[0]

    def is_of_machine(self, lease: Lease) -> bool:
        """Return whether the holder was on this machine since it booted, in any container."""
        return bool(self.boot) and lease.boot.partition("/")[0] == self.machine_boot

    def is_gone(self, lease: Lease) -> bool:
        """Return whether the holder was a process of this host and boot that has ended."""
        if not self.boot or lease.boot != self.boot or not lease.pid:
            return False
        return process_start(lease.pid) != lease.start


def boot_clock() -> float:
    """Return seconds on a clock that counts the sleep of this machine, where there is one."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def process_start(pid: int) -> int:
    """Return when a process of this host started (clock ticks since boot), or -1 if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stream:
            fields = stream.read(1024).rpartition(b") ")[2].split()
    except OSError:
        return -1
    # man 5 proc: after the command come state (field 3) ... starttime (field 22)
    return -1 if fields[0] in (b"Z", b"X") else int(fields[19])


def this_host(user: str, host: str) -> Host:
    """Return this machine; `user` and `host` are for people."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
    except OSError:
        boot = ""
    if boot and (space := _pid_namespace()):
        boot = f"{boot}/{space}"  # in a container a process id means another process
    worker = f"{user}@{host}".replace(" ", "_")
    return Host(worker, boot if os.path.exists("/proc/self/stat") else "")


def _pid_namespace() -> str:
    """Return the number of our namespace of process ids; empty if it is the machine's own.

    Source: PROC_PID_INIT_INO of the Linux kernel, include/linux/proc_ns.h.
    """
    try:
        name = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    number = name.removeprefix("pid:[").removesuffix("]")
    return "" if number == "4026531836" else number
