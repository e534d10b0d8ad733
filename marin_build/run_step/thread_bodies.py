"""Bodies in threads of this process. Light, but a body cannot be killed alone.

A command can: it runs in a session of its own, with the mark and the log of its attempt. A function
holds its log, as any body does, so that no other run takes over while it runs.
"""

from __future__ import annotations

import fcntl
import io
import os
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, TextIO, cast

from marin_build.errors import StoppedError
from marin_build.pipeline.command import Command
from marin_build.protocol.living_work import RUN_MARK, kill_work, living_work
from marin_build.run_step.body import EXPIRED, Done, run_body
from marin_build.run_step.command_session import CommandSession
from marin_build.run_step.lease_keeper import Keeper
from marin_build.run_step.owed_threads import OwedThreads, join_owed
from marin_build.run_step.resource_usage import THREAD, Meter
from marin_build.run_step.step_log import StepLog
from marin_build.workspace.own_files import open_own
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.redaction import Redactor
    from marin_build.run_step.body import Request
    from marin_build.run_step.session import Session


class ThreadBodies:
    """Runs bodies in the threads that ask for them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.is_spent = False
        self.makes_logs = self.are_in_threads = True
        self._running: dict[int, tuple[float, Request]] = {}
        self._kept: set[int] = set()
        self._lock = threading.Lock()  # guards both: bodies end while `tend` reads
        self._tend_at = 0.0
        self._tend_every = session.register_after / 5
        # The keeper is forked before the first thread starts.
        self._keeper = Keeper(session.store, session.time_to_live, session.run)
        self._logs = _ThreadLogs()
        self._commands: dict[int, CommandSession] = {}  # by target
        self._threads = OwedThreads()
        self._mark_before = os.environ.get(RUN_MARK)
        os.environ[RUN_MARK] = session.run

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:  # noqa: ARG002 - the caller's thread runs it
        """Run a body."""
        target = self._session.targets.all[request.index]
        with self._lock:
            self._running[request.index] = (time.monotonic(), request)
        redactor = self._session.redactor_of(target.step)
        try:
            log = _SharedLog(request.log, redactor, self._session.log_limit)
            with self._logs.to(log), self._threads.of_this() as owed:
                end = partial(join_owed, owed, tell)
                if not isinstance(target.step.fn, Command):
                    with nullcontext() if request.is_locked else _held(request.log):
                        if self._session.has_expired(request.held_since):
                            return EXPIRED
                        return run_body(target, Meter.begin(THREAD), end=end)
                make_folder(os.path.dirname(request.log))
                command = self._commands[request.index] = CommandSession(request, log.write)
                with command.open():
                    if self._session.has_expired(request.held_since):
                        done = EXPIRED
                    else:
                        done = run_body(target, Meter.begin(THREAD), end=end)
                left = command.end(target.step.detached)
                if left.said:
                    log.write(f"{left.said}\n".encode())
                return done.with_left(left.refused)
        finally:
            with self._lock:
                self._commands.pop(request.index, None)
                if request.index not in self._kept:
                    del self._running[request.index]

    def release(self, index: int) -> None:
        """Have the keeper stop renewing the lease of a target, before another run takes it."""
        with self._lock:
            if index in self._kept:
                del self._running[index]
                self._kept.remove(index)
                self._keeper.release(self._output(index))

    def signal(self, index: int, number: int) -> None:
        """Signal a command; other bodies go on until they end by themselves."""
        if (command := self._commands.get(index)) is not None:
            command.signal(number)

    def tend(self) -> float | None:
        """Hand the leases of bodies that take long to the keeper.

        Raises:
            StoppedError: a lease was lost; threads cannot be killed alone, so the run must end.

        """
        now = time.monotonic()
        if now < self._tend_at:
            return self._tend_at - now
        self._tend_at = now + self._tend_every
        if self._keeper.has_died():
            raise StoppedError(
                "the lease of a running step was lost, or no process renews it any more",
                consequence="what ran in threads of this process was not committed",
                hint="apply again",
            )
        with self._lock:
            for index, (began, request) in self._running.items():
                if index not in self._kept and now - began > self._session.register_after:
                    self._keeper.hold(self._output(index), request, os.getpid(), group=False)
                    self._kept.add(index)
        return self._tend_every

    def close(self) -> None:
        """End the keeper and what still runs, and give the standard streams back."""
        if self._commands:
            kill_work(partial(living_work, "", "", self._session.run))
        self._logs.remove()
        self._threads.remove()
        if self._mark_before is None:
            os.environ.pop(RUN_MARK, None)
        else:
            os.environ[RUN_MARK] = self._mark_before
        self._keeper.close()

    def _output(self, index: int) -> str:
        return self._session.targets.all[index].output_path


@contextmanager
def _held(path: str) -> Iterator[None]:
    """Lock a log, for `still_written`."""
    make_folder(os.path.dirname(path))
    log = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield
    finally:
        os.close(log)


class _SharedLog:
    """A log that a step and the command it runs write to, each in a thread of its own."""

    def __init__(self, path: str, redactor: Redactor, limit: int) -> None:
        self._log, self._lock = StepLog(path, redactor, limit, makes_folder=True), threading.Lock()

    def write(self, data: bytes) -> None:
        """Take what was printed."""
        with self._lock:
            self._log.write(data)

    def close(self) -> None:
        """Write what is left."""
        with self._lock:
            self._log.close()


class _ThreadStream(io.TextIOBase):
    """Stands for a standard stream; what a thread with a log writes goes there.

    It has no descriptor while that is so: a program that a step starts by itself, and not as a
    command, prints where this process prints.
    """

    def __init__(self, original: TextIO, logs: threading.local) -> None:
        self._original, self._logs = original, logs

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the log, and nearly always of the stream."""
        return "utf-8"

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def isatty(self) -> bool:
        """Return whether what is written now is seen at a terminal."""
        return self._log() is None and self._original.isatty()

    def fileno(self) -> int:
        """Return the descriptor of the stream, for threads without a log."""
        if self._log() is not None:
            raise io.UnsupportedOperation("the log of a step in a thread has no descriptor")
        return self._original.fileno()

    def write(self, text: str) -> int:
        """Write, to the log of the thread or to the stream."""
        log = self._log()
        if log is None:
            return self._original.write(text)
        log.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    def flush(self) -> None:
        """Flush the stream: a log is never behind by more than a line."""
        if self._log() is None:
            self._original.flush()

    def _log(self) -> _SharedLog | None:
        return getattr(self._logs, "current", None)


class _ThreadLogs:
    """Standard streams that know which thread has which log."""

    def __init__(self) -> None:
        self._logs = threading.local()
        self._saved = (sys.stdout, sys.stderr)
        sys.stdout = cast("TextIO", _ThreadStream(sys.stdout, self._logs))
        sys.stderr = cast("TextIO", _ThreadStream(sys.stderr, self._logs))

    @contextmanager
    def to(self, log: _SharedLog) -> Iterator[None]:
        """Send what this thread prints to a log."""
        self._logs.current = log
        try:
            yield
        finally:
            self._logs.current = None
            log.close()

    def remove(self) -> None:
        """Put the former streams back."""
        sys.stdout, sys.stderr = self._saved
