"""Who we are, as locks name us: user, host, process, thread."""

from __future__ import annotations

import fcntl
import functools
import os
import threading
import time

from marin_build.protocol.lease import Host, Lease, process_start, this_host


def worker_id() -> str:
    """Return `user@host-pid-thread`: another one for every thread of every process."""
    return f"{here().worker}-{os.getpid()}-{threading.get_native_id()}"


@functools.cache
def here() -> Host:
    """Return this machine."""
    return this_host(current_user(), os.uname().nodename)


def own_lease(worker: str) -> Lease:
    """Return a new lease of this process in the name of `worker`."""
    pid = os.getpid()
    return Lease(
        worker.replace(" ", "_") or "nobody",
        time.time(),
        nonce=os.urandom(8).hex(),
        boot=here().boot,
        pid=pid,
        start=process_start(pid),
    )


def is_abandoned(host: Host, lease: Lease, log: str) -> bool:
    """Return whether a holder died on this machine, and all that its attempt had started.

    Args:
        host: this machine.
        lease: the holder's.
        log: the local file that takes what its attempt prints.

    """
    return host.is_gone(lease) and not still_written(log)


def current_user() -> str:
    """Return who runs this, for people."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"


def still_written(log: str) -> bool:
    """Return whether some process of an attempt on this machine still has its log open.

    A body's log is its standard output, inherited by all it starts, and locked: as long as one
    of them lives, no other process gets the lock, even if the supervisor is dead.
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
