"""A forked child: it waits for a body to run, and as a worker for the next one.

A body takes a socket, a pipe and a log, so supervisors raise the limit on open files. A body gets
the lower limit back: select(2) knows no descriptors above 1024, and programs rely on that limit.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import importlib
import os
import resource
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from marin_build.protocol.living_work import MARK
from marin_build.run_step.body import EXPIRED, Done, Request, described, run_body
from marin_build.run_step.fork.messages import pack, receive_order, say_done, say_imported, unpack
from marin_build.run_step.fork.shared_imports import LateImports
from marin_build.run_step.interpreter_end import end_as_interpreter, flush_files, is_wrapper
from marin_build.run_step.leftover_processes import die_with_parent
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    import io
    import socket
    from collections.abc import Callable, Sequence
    from types import FrameType

    from marin_build.run_step.session import Session


_signal: Any = importlib.import_module("_signal")
"""`signal` without its enums: to make those, each child would copy fifty pages."""
_BY_DEFAULT = (
    _signal.SIGCHLD, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGTSTP,
)  # fmt: skip
"""Signals that the template handles in its own way."""
_IMPORTING = "<frozen importlib._bootstrap>"
_BEYOND = 1 << 40
"""An offset behind the end of every log."""


@dataclass(frozen=True, slots=True)
class Child:
    """A child that was just forked.

    It shares its memory with the template until it writes there: a page at a time is copied then,
    and a count of references is such a write, too. That is most of what a step costs. So what is
    the same for all children the template does before it forks them, and this does little.

    Args:
        session: the run.
        parent: the process id of the template.
        limits: how many files it may have open: the soft limit and the hard one.
        early: files that were open before there were children.

    """

    session: Session
    parent: int
    limits: tuple[int, int]
    early: Sequence[io.IOBase] = ()

    def work(self, orders: socket.socket, *, once: bool) -> NoReturn:
        """Run the bodies that are ordered, until one leaves a thread or a process behind.

        Args:
            orders: brings requests, each with the pipe for its output, and takes the answers;
                closed after the last one.
            once: end after the first.

        """
        try:
            self._begin()
            late = LateImports()
            surroundings = None if once else _Surroundings()
            hooks = None if once else ExitHooks()
            while True:
                packet, pipe = receive_order(orders)
                if not packet:
                    break
                request = Request(*unpack(packet))
                log = _print_to(pipe, request.log)
                done, is_last = self._build(request, orders, hooks)
                if surroundings is None or is_last:
                    if imported := late.names():
                        say_imported(orders, imported)
                    say_done(orders, done, is_free=False)
                    break  # the template kills what is left, and forks another one
                surroundings.let_go(log)
                say_done(orders, done, is_free=True)
                surroundings.restore()
        except BaseException as error:  # noqa: BLE001 - a fork must never return into its parent's code
            with suppress(Exception):
                say_done(orders, Done(1, described(error)), is_free=False)
        finally:
            os._exit(0)

    def _begin(self) -> None:
        if self.session.locks is not None:
            self.session.locks.forget()  # what outlives this step must not hold what others build
        gc.freeze()  # what the template has made since it froze what there was
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        for number in _BY_DEFAULT:
            _signal.signal(number, _signal.SIG_DFL)
        os.setsid()
        die_with_parent(self.parent)
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)

    def _build(
        self, request: Request, orders: socket.socket, hooks: ExitHooks | None
    ) -> tuple[Done, bool]:
        """Run a body; return how it ended, and whether the process must end with it."""
        # The kernel counts for the template what a process has used that runs one body.
        meter = None if hooks is None else Meter.begin(OWN)
        is_last = True

        def end() -> None:
            nonlocal is_last
            is_last = hooks is None or hooks.were_added or _has_company()
            if not is_last:
                is_last = any(map(is_wrapper, flush_files(self.early)))
            if is_last:
                end_as_interpreter(lambda text: _tell(orders, text), self.early)

        os.environ[MARK] = request.nonce
        if request.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(request.gpus)
        if self.session.has_expired(request.held_since):
            done = EXPIRED
        else:
            done = run_body(self.session.targets.all[request.index], meter, end=end)
        for stream in (sys.stdout, sys.stderr):
            try:  # noqa: SIM105 - each function that is called is some more pages to copy
                stream.flush()
            except Exception:  # noqa: BLE001, S110 - the step may have closed or replaced it
                pass
        return done, is_last


def _tell(orders: socket.socket, text: str) -> None:
    """Have the run say what the body waits for."""
    with suppress(Exception):
        sys.stderr.write(f"{text}\n")
    with suppress(OSError):
        orders.send(pack(("waits", text)))


class _Surroundings:
    """Environment and folder of a process, which the next body must find as this one did."""

    def __init__(self) -> None:
        self._environ, self._folder = _variables().copy(), os.getcwd()
        self._nothing = os.open(os.devnull, os.O_RDWR)

    def restore(self) -> None:
        """Restore them, while the run already goes on: it hears of the end of the body before.

        Changes to modules stay: a worker costs that.
        """
        for standard in (1, 2):
            os.dup2(self._nothing, standard)
        os.environ.pop(MARK, None)
        if _variables() != self._environ:
            former = {os.fsdecode(name): os.fsdecode(self._environ[name]) for name in self._environ}
            for name in os.environ.keys() - former.keys():
                del os.environ[name]
            os.environ.update(former)
        os.chdir(self._folder)

    def let_go(self, log: int) -> None:
        """Restore the signal handlers, and let go of the log: nobody may find it held any more."""
        _signal.signal(_signal.SIGINT, _signal.default_int_handler)
        _signal.signal(_signal.SIGTERM, _signal.SIG_DFL)
        os.close(log)
        os.dup2(self._nothing, 0)


def _variables() -> dict[bytes, bytes]:
    """Return the variables as they are kept: to decode all takes longer than a short step."""
    kept: dict[bytes, bytes] = vars(os.environ)["_data"]
    return kept


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


def lift_limit() -> int:
    """Let this process open as many files as it may; return the limit that it had."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def restore_limit(soft: int) -> None:
    """Give this process, and what it starts, a former limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
