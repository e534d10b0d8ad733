"""Who we are, as locks name us: user, host, process, thread."""

from __future__ import annotations

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


def current_user() -> str:
    """Return who runs this, for people."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"
