"""Nothing that belongs to a step outlives what supervises it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc: Any = None


def prepare() -> None:
    """Look up what the children will call: once, before the forks."""
    global _libc  # noqa: PLW0603 - a handle, looked up once
    _libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, where the kernel can (Linux).

    Args:
        parent: the process id of who forked this one. He may have died before we asked.

    """
    if _libc is not None and hasattr(_libc, "prctl"):
        _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def still_written(log: str) -> bool:
    """Return whether some process of an attempt on this machine still has its log open.

    A body's log is its standard output, inherited by all it starts, and locked: as long as one
    of them lives, the lock cannot be had, whoever supervised it.
    """
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
