"""The guard: it stands between the applier and the template, and lets no work outlive either.

    applier --- guard --- template --- body --- what the body starts

It does nothing until one of the two is gone. Each process but the bodies' own leads a session, so
that no signal to a process group meets two of them. What is orphaned below the template becomes a
child of the template; what is orphaned with it becomes a child of the guard. Where all three are
killed at once, the kernel kills the bodies, and the next run finds the rest
(protocol/living_work.py).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from marin_build.protocol.living_work import wait_for_ends
from marin_build.run_step.leftover_processes import (
    adopt_orphans,
    children_of,
    kill_children,
    kill_tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_PATIENCE = 5.0
"""Seconds in which a template is to end its logs, when its bodies are dead."""
_LOOK = 1.0
"""Seconds between two looks at processes, where they have no descriptors to wait for."""
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP)


class Guard:
    """The applier's side: starts the guard, which starts the template.

    Args:
        serve: what the template does, with a socket that closes when the guard dies.
        ours: the applier's ends of the sockets to the template.
        theirs: the template's.

    """

    def __init__(
        self,
        serve: Callable[[socket.socket], None],
        ours: Sequence[socket.socket],
        theirs: Sequence[socket.socket],
    ) -> None:
        applier = os.getpid()
        self._life, life = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for end in (self._life, *ours):
                    end.close()
                _guard(applier, life, serve, theirs)
            finally:
                os._exit(1)
        for end in (life, *theirs):
            end.close()
        self._template = int(self._life.recv(32) or b"0")

    def fileno(self) -> int:
        """Return a descriptor that can be read when the guard is gone."""
        return self._life.fileno()

    def wait_for_end(self, patience: float) -> None:
        """Wait until the guard is gone, which outlives all it guards, and the template with it."""
        poll = select.poll()
        poll.register(self._life, select.POLLIN)
        poll.poll(int(patience * 1000))
        # Killed alone, it is gone before the template is, which then ends its work and itself.
        if self._template and not wait_for_ends([self._template], time.monotonic() + patience):
            with suppress(ProcessLookupError):
                os.kill(self._template, signal.SIGKILL)

    def close(self) -> None:
        """Let it end what still runs, and wait for that."""
        with suppress(OSError):
            self._life.shutdown(socket.SHUT_RDWR)  # copies in processes that user code forked
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        self.wait_for_end(_PATIENCE)
        self._life.close()


def _guard(
    applier: int,
    life: socket.socket,
    serve: Callable[[socket.socket], None],
    of_template: Sequence[socket.socket],
) -> NoReturn:
    """Be the guard, or as its child the template."""
    ignore_signals()
    os.setsid()
    adopt_orphans()
    leash, end_of_leash = socket.socketpair()
    template = os.fork()
    if template == 0:
        leash.close()
        life.close()
        os.setsid()
        serve(end_of_leash)
        os._exit(0)
    for end in (end_of_leash, *of_template):
        end.close()
    with suppress(OSError):
        life.send(b"%d" % template)
    _watch(applier, life, template)
    for pid in children_of(template):  # the template may be frozen; if not, it reaps them
        kill_tree(pid)
    wait_for_ends([template], time.monotonic() + _PATIENCE)
    kill_children()
    os._exit(0)


def ignore_signals() -> None:
    """Leave it to the applier to obey signals that are sent to all processes of a run."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)


def _watch(applier: int, life: socket.socket, template: int) -> None:
    """Wait until the applier closes its socket or is gone, or the template is."""
    poll = select.poll()
    poll.register(life, select.POLLIN)
    patience: float | None = None
    for pid in (applier, template):
        try:
            poll.register(os.pidfd_open(pid), select.POLLIN)
        except ProcessLookupError:
            return
        except (OSError, AttributeError):  # an old kernel, or not Linux
            patience = _LOOK * 1000
    while os.getppid() == applier:
        if poll.poll(patience):
            return
        if patience is not None and os.waitid(
            os.P_PID, template, os.WEXITED | os.WNOHANG | os.WNOWAIT
        ):
            return
