"""A forked child: it waits for a body to run, and as a worker for the next one.

A body takes a socket, a pipe and a log, so supervisors raise the limit on open files. A body gets
the lower limit back: select(2) knows no descriptors above 1024, and programs rely on that limit.
"""

from __future__ import annotations

import atexit
import fcntl
import marshal
import os
import resource
import signal
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from marin_build.pipeline.command_process import stdin_inherited
from marin_build.protocol.living_work import MARK
from marin_build.run_step.body import EXPIRED, Done, Request, described, run_body
from marin_build.run_step.interpreter_end import (
    end_as_interpreter,
    flush_files,
    forget_parent,
    is_wrapper,
)
from marin_build.run_step.leftover_processes import die_with_parent
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Sequence
    from types import FrameType

    from marin_build.run_step.session import Session


PACKET = 1 << 17
"""Bytes of the longest packet; a longer answer is sent in parts."""
_PART = PACKET - 1024
_LONGEST_ORDER = 1 << 13
FREE = b"free"
"""What a worker says when it can take the next body."""
_IMPORTING = "<frozen importlib._bootstrap>"
_BEYOND = 1 << 40
"""An offset behind the end of every log."""

# Orders and answers are plain tuples, numbers and strings, packed by the quickest means: every
# page that packing touches in a child is a page fault. A request is the fields of Request, a
# signal (index, number); an answer is the fields of Done, if they are long in parts, or of a
# process that is gone its status, CPU seconds and peak memory, as from wait4. Only sockets without
# a name carry them, so no other user can put bytes of his own in their place.
pack, unpack = marshal.dumps, marshal.loads


@dataclass(frozen=True, slots=True)
class Child:
    """A child that was just forked.

    Args:
        session: the run.
        channel: takes its answers.
        parent: the process id of the template.
        limit: how many files it may have open.
        early: files that were open before there were children.

    """

    session: Session
    channel: socket.socket
    parent: int
    limit: int
    early: Sequence[io.IOBase] = ()

    def work(self, orders: socket.socket, *, once: bool) -> NoReturn:
        """Run the bodies that are ordered, until one leaves a thread or a process behind.

        Args:
            orders: brings requests, each with the pipe for its output; closed after the last one.
            once: end after the first.

        """
        request: Request | None = None
        try:
            self._begin()
            surroundings = None if once else _Surroundings()
            hooks = None if once else ExitHooks()
            while True:
                packet, pipes, *_ = socket.recv_fds(orders, _LONGEST_ORDER, 1)
                if not packet:
                    break
                request = Request(*unpack(packet))
                log = _print_to(pipes[0], request.log)
                is_last = self._build(request, Meter.begin(OWN, is_fresh=once), hooks)
                if surroundings is None or is_last:
                    break  # the template kills what is left, and forks another one
                surroundings.restore()
                _be_silent(log)
                orders.send(FREE)
        except BaseException as error:  # noqa: BLE001 - a fork must never return into its parent's code
            if request is not None:
                self._report_crash(error)
        finally:
            os._exit(0)

    def _begin(self) -> None:
        if self.session.locks is not None:
            self.session.locks.forget()  # what outlives this step must not hold what others build
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.setsid()
        die_with_parent(self.parent)
        forget_parent()
        restore_limit(self.limit)
        stdin_inherited.set(True)

    def _build(self, request: Request, meter: Meter, hooks: ExitHooks | None) -> bool:
        """Run a body and answer; return whether the process must end with it."""
        is_last = True

        def end() -> None:
            nonlocal is_last
            is_last = hooks is None or hooks.were_added or _has_company()
            if not is_last:
                is_last = any(map(is_wrapper, flush_files(self.early)))
            if is_last:
                end_as_interpreter(self._tell, self.early)

        os.environ[MARK] = request.nonce
        if request.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(request.gpus)
        if self.session.has_expired(request.held_since):
            done = EXPIRED
        else:
            done = run_body(self.session.targets.all[request.index], meter, end=end)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):  # the step may have closed it, or put its own there
                stream.flush()
        self._answer(done)
        return is_last

    def _tell(self, text: str) -> None:
        """Have the run say what the body waits for."""
        with suppress(Exception):
            sys.stderr.write(f"{text}\n")
        with suppress(OSError):
            self.channel.send(pack(("waits", text)))

    def _report_crash(self, error: BaseException) -> None:
        with suppress(Exception):
            self._answer(Done(1, described(error)))

    def _answer(self, done: Done) -> None:
        packet = pack(astuple(done))
        if len(packet) > _PART:
            for start in range(0, len(packet), _PART):
                self.channel.send(pack(("part", packet[start : start + _PART])))
            packet = pack(("whole",))
        self.channel.send(packet)


class _Surroundings:
    """Environment and folder of a process, which the next body must find as this one did."""

    def __init__(self) -> None:
        self._environ, self._folder = dict(os.environ), os.getcwd()

    def restore(self) -> None:
        """Restore them, and the signal handlers. Changes to modules stay: a worker costs that."""
        if os.environ != self._environ:
            for name in os.environ.keys() - self._environ.keys():
                del os.environ[name]
            os.environ.update(self._environ)
        os.chdir(self._folder)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class ExitHooks:
    """Watches whether a body sets up exit hooks, other than modules do while they are imported.

    Those are for the end of the process, not of a step: in a worker they are not run at all.
    """

    def __init__(self) -> None:
        self.were_added = False
        self._register = atexit.register
        atexit.register = self._note

    def _note(self, hook: Callable[..., Any], /, *args: Any, **kw: Any) -> Callable[..., Any]:
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as `inspect`, at a hundredth of its cost
        while frame is not None and frame.f_code.co_filename != _IMPORTING:
            frame = frame.f_back
        self.were_added = self.were_added or frame is None
        return self._register(hook, *args, **kw)


def _has_company() -> bool:
    """Return whether a body left something that runs: a thread, or a process of this one."""
    if threading.active_count() > 1:
        return True
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def own_streams() -> None:
    """Give this process, and so its children, standard streams of known form and empty buffers."""
    sys.stdout, sys.stderr = (
        open(  # noqa: SIM115 - for good
            descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
        )
        for descriptor in (1, 2)
    )


def _print_to(pipe: int, path: str) -> int:
    """Send everything this process and its children print into a pipe, and hold the log.

    Returns a descriptor that holds it in what this process forks, whatever becomes of its standard
    input there; programs do not inherit that one.

    Standard input is the log, read from behind its end: there is never anything to read, as from
    the null device. Every process that inherits it holds the lock which `still_written` tries.
    """
    try:
        log = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    except FileNotFoundError:  # a cleaner of temporary files took its folder away: the step goes on
        import tempfile

        with tempfile.TemporaryFile() as nameless:
            log = os.dup(nameless.fileno())
    fcntl.flock(log, fcntl.LOCK_EX)
    os.lseek(log, _BEYOND, os.SEEK_SET)
    for descriptor, standard in ((log, 0), (pipe, 1), (pipe, 2)):
        os.dup2(descriptor, standard)
    held = fcntl.fcntl(log, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(log)
    os.close(pipe)
    return held


def _be_silent(log: int) -> None:
    """Let go of the log and the pipe."""
    os.close(log)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:  # noqa: PLR2004 - else it took the number of a stream that was closed
        os.close(nothing)


def lift_limit() -> int:
    """Let this process open as many files as it may; return the limit that it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def restore_limit(soft: int) -> None:
    """Give this process, and what it starts, a former limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
