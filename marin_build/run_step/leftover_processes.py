"""Processes that outlive the step that started them: found, ended, and waited for.

The template becomes the parent of all whose parent died below it (a "child subreaper", prctl(2)).
What belongs to a step is known by a variable in the environment it was started with.
"""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Container


MARK = "MARIN_BUILD_ATTEMPT"
"""The variable that marks what an attempt started: the nonce of its lease."""
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Orphans:
    """Adopts and kills the processes whose parents, below this process, have died."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._is_possible = (
            hasattr(libc, "prctl") and libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        )

    def kill(self, known: Container[int], nonce: str | None = None) -> None:
        """Kill orphans, and all below them.

        Args:
            known: children of this process that are not orphans.
            nonce: of the attempt that started them; None: kill the orphans of all attempts.

        """
        if not self._is_possible:
            return
        for pid in _children_of(os.getpid()):
            if pid not in known and (nonce is None or _has(pid, nonce)):
                _kill_tree(pid)


def _kill_tree(root: int) -> None:
    """Kill a process and all below it."""
    pending = [root]
    while pending:
        pid = pending.pop()
        pending += _children_of(pid)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def _children_of(pid: int) -> list[int]:
    """Return the children of the first thread of a process, as proc(5) tells them."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def _has(pid: int, nonce: str) -> bool:
    """Return whether a process was started with an attempt's mark."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return f"{MARK}={nonce}".encode() in stream.read().split(b"\0")
    except OSError:
        return False


_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc: Any = None


def prepare() -> None:
    """Look up the C function that the children will call: once, before the forks."""
    global _libc  # noqa: PLW0603 - a handle, looked up once
    _libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can (Linux).

    Args:
        parent: the process that forked this one. It may have died before we asked the kernel.

    """
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
