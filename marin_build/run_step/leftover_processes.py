"""Processes that outlive the step, or the process, that started them: found, ended, waited for.

A process can ask to become the parent of all whose parent died below it (a "child subreaper",
prctl(2)); the guard and the template do. Elsewhere than on Linux nothing of this is possible: there
the process group of a step is all that ends with it.
"""

from __future__ import annotations

import ctypes
import fnmatch
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.protocol.living_work import (
    MARK,
    has_mark,
    holds_lock,
    kill_work,
    processes,
    wait_for_ends,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from marin_build.protocol.living_work import Process


_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
_libc: Any = None


LINGER = 3.0
"""Seconds in which what a step left may end by itself, as `gzip` does in `tee >(gzip > x)`."""
_LOOK = 0.1
"""Seconds between two looks for a process that is not visible."""
_MOST = 4
"""Processes that a message names."""
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was killed because it still ran after its step had ended.

    Args:
        said: for the log; empty if nothing was killed.
        refused: for the failure: those that the step does not declare; empty if there are none.

    """

    said: str = ""
    refused: str = ""


def leftovers_of(found: Sequence[Process], detached: Sequence[str]) -> Leftovers:
    """Return what is to be told of processes that are killed.

    Args:
        found: the processes.
        detached: names of programs that their step declares.

    """
    if not found:
        return Leftovers()
    wrong = [process for process in found if not _is_declared(process, detached)]
    said = f"killed what still ran after the step had ended: {named(found)}"
    return Leftovers(said, named(wrong) if wrong else "")


def end_leftovers(
    find: Callable[[], Sequence[Process]], detached: Sequence[str], linger: float = LINGER
) -> Leftovers:
    """Wait for what a step left, kill what does not end by itself, and say so.

    Args:
        find: returns the processes that live.
        detached: names of programs that their step declares.
        linger: seconds to wait.

    """
    deadline = time.monotonic() + linger
    while (found := find()) and _have_ended(found, deadline):
        pass
    if not found:
        return Leftovers()
    told = leftovers_of(found, detached)
    _, left = kill_work(find)
    if left:
        said = f"cannot kill what still runs after the step had ended: {named(left)}"
        return replace(told, said=said, refused=named(left))
    return told


def _have_ended(found: Sequence[Process], deadline: float) -> bool:
    """Wait for processes; return whether to look for more: they have ended, and there is time."""
    if visible := [process.pid for process in found if process.pid]:
        return wait_for_ends(visible, deadline) and time.monotonic() < deadline
    left = deadline - time.monotonic()
    time.sleep(max(0.0, min(_LOOK, left)))
    return left > 0


def named(found: Sequence[Process]) -> str:
    """Return processes for people: how many, and the first of them."""
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    count = "1 process" if len(found) == 1 else f"{len(found)} processes"
    return f"{count}: {', '.join(map(str, found[:_MOST]))}{more}"


def _is_declared(process: Process, detached: Sequence[str]) -> bool:
    name = os.path.basename(process.command.split(" ")[0])
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in detached)


def adopt_orphans() -> bool:
    """Become the parent of what is orphaned below this process; return whether that works."""
    _look_up()
    return hasattr(_libc, "prctl") and _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can (Linux).

    The kernel means the parent's thread: only a process that forks in its one thread may be asked
    for. And it forgets the wish in what this process forks.

    Args:
        parent: the process that forked this one. It may have died before we asked the kernel.

    """
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def orphans_of(session: int, nonce: str, log: str, strangers: Sequence[int]) -> list[int]:
    """Return which children of this process a body left behind; below them there may be more.

    Args:
        session: the body's process, which led a session.
        nonce: of the attempt.
        log: local path of its log.
        strangers: children of this process that it did not fork itself.

    """
    strangers = [pid for pid in strangers if _lives(pid)]
    if not strangers:
        return []
    words = [f"{MARK}={nonce}".encode()]
    try:
        held = os.stat(log)
    except OSError:
        held = None
    return [
        pid
        for pid in strangers
        if _session_of(pid) == session
        or has_mark(pid, words)
        or (held is not None and holds_lock(pid, held))
    ]


def kill_tree(root: int) -> None:
    """Kill a process and all below it."""
    pending = [root]
    while pending:
        pid = pending.pop()
        pending += children_of(pid)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def signal_group(leader: int, number: int) -> None:
    """Signal a process and what is in its group; nothing if it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:  # it does not lead its session yet
            os.kill(leader, number)


def tree_of(root: int) -> list[int]:
    """Return a process and all below it that live."""
    found, pending = list[int](), [root]
    while pending:
        pid = pending.pop()
        pending += children_of(pid)
        if _lives(pid):
            found.append(pid)
    return found


def kill_children(spare: Container[int] = ()) -> None:
    """Kill all below this process but some children of it, and wait until they are reaped."""
    while True:
        left = [pid for pid in children_of(os.getpid()) if pid not in spare]
        for pid in left:
            kill_tree(pid)
        if not left:
            return
        for pid in left:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def children_of(pid: int) -> list[int]:
    """Return the children of a process, as proc(5) tells them; none where there is no such."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb", buffering=0) as stream:
                found += [int(word) for word in stream.read().split()]
    except FileNotFoundError:
        if os.path.exists("/proc/self/task") and not os.path.exists("/proc/self/task/children"):
            return found or [child for child in processes() if _parent_of(child) == pid]
    except OSError:
        pass
    return found


class OwnChildren:
    """The children of this process, for one that has a single thread and looks at them often."""

    def __init__(self) -> None:
        pid = os.getpid()
        try:
            self._list = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._list = -1

    def pids(self) -> list[int]:
        """Return them, as proc(5) tells them now."""
        if self._list < 0:
            return children_of(os.getpid())
        text = b""
        while more := os.pread(self._list, _BLOCK, len(text)):
            text += more
        return [int(word) for word in text.split()]


def _stat_of(pid: int) -> list[bytes]:
    """Return the fields of a process after its name: state, parent, group, session."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as stream:
            return stream.read(1024).rpartition(b") ")[2].split()
    except OSError:
        return []


def _lives(pid: int) -> bool:
    fields = _stat_of(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def _parent_of(pid: int) -> int:
    fields = _stat_of(pid)
    return int(fields[1]) if fields else 0


def _session_of(pid: int) -> int:
    fields = _stat_of(pid)
    return int(fields[3]) if fields else 0


def _look_up() -> None:
    """Look up what the children will call: once, before the forks."""
    global _libc  # noqa: PLW0603 - a handle, looked up once
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
