"""Processes of an attempt that live on this machine, whether or not its holder does.

Two traces lead to them. What a body starts as a program has a mark in its environment; what it
forks has the attempt's log open, and with it the lock on that log (ADR 6). Both are inherited by
what these processes start, in whatever process group or session.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from marin_build.protocol.lease import process_start
from marin_build.quick_dataclass import dataclass
from marin_build.redaction import Redactor
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.protocol.lease import Host, Lease


MARK = "MARIN_BUILD_ATTEMPT"
"""The variable that marks what an attempt starts: the nonce of its lease."""
RUN_MARK = "MARIN_BUILD_RUN"
"""The same for what a run starts whose steps share a process: the run's id."""
PATIENCE = 10.0
"""Seconds in which the kernel ends what was killed, unless a disk or a device holds it."""
_LOOK = 0.05
"""Seconds between two looks at a process that has no descriptor to wait for."""
_PROC = "/proc"
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Process:
    """A process: its id, 0 if it cannot be seen from here, and its command line, cut."""

    pid: int
    command: str

    def __str__(self) -> str:
        """Return it for people."""
        return f"pid {self.pid} (`{self.command}`)" if self.pid else "a process that is not visible"


def is_abandoned(host: Host, lease: Lease, log: str) -> bool:
    """Return whether a holder died on this machine, and all that its attempt had started.

    Args:
        host: this machine.
        lease: the holder's.
        log: the local file that takes what its attempt prints.

    """
    return host.is_gone(lease) and not is_worked_on(host, lease, log)


def is_worked_on(host: Host, lease: Lease, log: str) -> bool:
    """Return whether anything that an attempt started still lives on this machine.

    Args:
        host: this machine.
        lease: the attempt's.
        log: the local file that takes what the attempt prints.

    """
    if not host.is_of_machine(lease) or not lease.nonce:
        return False
    return still_written(log) or next(_marked(lease.nonce, lease.run), None) is not None


def living_work(nonce: str, log: str, run: str = "") -> tuple[Process, ...]:
    """Return the processes of an attempt that live on this machine, the oldest id first.

    Args:
        nonce: of the attempt's lease.
        log: the local file that takes what the attempt prints.
        run: the run's id, to find what belongs to no attempt alone; empty: that is not asked.

    """
    found = set(_marked(nonce, run))
    if still_written(log):
        found.update(_holding(log))
        if not found:
            return (Process(0, ""),)
    if not found:
        return ()
    redactor = Redactor.of(os.environ)
    return tuple(Process(pid, redactor.clean_text(command_of(pid))) for pid in sorted(found))


def still_written(log: str) -> bool:
    """Return whether some process of an attempt on this machine still has its log open.

    A body's log is its standard input, inherited by all it starts, and locked: as long as one
    of them lives, no other process gets the lock, even if the supervisor is dead.
    """
    try:
        descriptor = open_own(log, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def kill_work(
    find: Callable[[], Sequence[Process]], patience: float = PATIENCE
) -> tuple[tuple[Process, ...], tuple[Process, ...]]:
    """Kill processes until there are no more, and wait for their ends.

    Args:
        find: returns those that live; called again after each round.
        patience: seconds in all.

    Returns:
        Those that were killed, and those that live all the same.

    """
    deadline = time.monotonic() + patience
    killed: dict[int, Process] = {}
    while True:
        found = tuple(find())
        if not found or not all(process.pid for process in found):
            return tuple(killed.values()), found
        killed.update({process.pid: process for process in found})
        for process in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process.pid, signal.SIGKILL)
        if not wait_for_ends([process.pid for process in found], deadline):
            return tuple(killed.values()), tuple(find())


def wait_for_ends(pids: Sequence[int], deadline: float) -> bool:
    """Wait until processes have ended, children or not; return whether they have.

    Args:
        pids: the processes.
        deadline: until when, on the monotonic clock.

    """
    with ExitStack() as opened:
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except (OSError, AttributeError):  # it is gone; or there are none here
                if not _ends_by(pid, deadline):
                    return False
                continue
            opened.callback(os.close, descriptor)
            left = max(deadline - time.monotonic(), 0.0)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(int(left * 1000)):
                return False
    return True


def _ends_by(pid: int, deadline: float) -> bool:
    """Look until a process has ended; return whether it has. For kernels without descriptors."""
    while process_start(pid) >= 0:
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_LOOK, left))
    return True


def command_of(pid: int) -> str:
    """Return the command line of a process, cut; empty if it is gone."""
    try:
        with open(f"{_PROC}/{pid}/cmdline", "rb") as stream:
            words = stream.read(4096)
    except OSError:
        return ""
    text = " ".join(words.rstrip(b"\0").decode("utf-8", "replace").split("\0"))
    text = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def processes() -> Iterator[int]:
    """Yield the processes of this machine; none where there is no proc(5)."""
    try:
        names = os.listdir(_PROC)
    except OSError:
        return
    yield from (int(name) for name in names if name.isdigit())


def has_mark(pid: int, words: Sequence[bytes]) -> bool:
    """Return whether one of some `NAME=value` is in the environment that a process began with."""
    try:
        with open(f"{_PROC}/{pid}/environ", "rb", buffering=0) as stream:
            environ = stream.read()
    except OSError:
        return False
    return any(word in environ and word in environ.split(b"\0") for word in words)


def _marked(nonce: str, run: str) -> Iterator[int]:
    marks = ((MARK, nonce), (RUN_MARK, run))
    words = [f"{name}={value}".encode() for name, value in marks if value]
    own = os.getpid()
    return (pid for pid in processes() if pid != own and has_mark(pid, words))


def _holding(log: str) -> Iterator[int]:
    """Yield the processes that hold the lock on a log: readers of it have it open, too."""
    try:
        wanted = os.stat(log)
    except OSError:
        return
    own = os.getpid()
    yield from (pid for pid in processes() if pid != own and holds_lock(pid, wanted))


def holds_lock(pid: int, log: os.stat_result) -> bool:
    """Return whether a process holds the lock on a file, as proc(5) tells."""
    folder = f"{_PROC}/{pid}/fd"
    with suppress(OSError):
        for name in os.listdir(folder):
            try:
                if not os.path.samestat(os.stat(f"{folder}/{name}"), log):
                    continue
                with open(f"{folder}info/{name}", "rb") as stream:
                    if b"FLOCK" in stream.read():
                        return True
            except OSError:
                continue
    return False
