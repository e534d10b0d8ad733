"""Bodies in threads of this process. Light, but a body cannot be killed alone."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, cast

from marin_build.errors import StoppedError
from marin_build.run_step.body import Done, run_body
from marin_build.run_step.keeper import Keeper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.run_step.bodies import Request
    from marin_build.run_step.session import Session


class ThreadBodies:
    """Runs bodies in the threads that ask for them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._running: dict[int, tuple[float, Request]] = {}
        self._kept: set[int] = set()
        self._lock = threading.Lock()  # on both; bodies end while somebody looks
        self._tend_at = 0.0
        self._tend_every = session.register_after / 5
        # The keeper is forked before the first thread starts.
        self._keeper = Keeper(session.store, session.time_to_live)
        self._logs = _ThreadLogs()

    def run(self, slot: int, request: Request) -> Done:  # noqa: ARG002 - the caller's thread runs it
        """Run a body."""
        target = self._session.targets.all[request.index]
        with self._lock:
            self._running[request.index] = (time.monotonic(), request)
        try:
            with self._logs.to_file(request.log):
                return run_body(target)
        finally:
            with self._lock:
                if request.index not in self._kept:
                    del self._running[request.index]

    def release(self, index: int) -> None:
        """Have the keeper let go of its lease, before somebody else takes it."""
        with self._lock:
            if index in self._kept:
                del self._running[index]
                self._kept.remove(index)
                self._keeper.release(self._output(index))

    def signal(self, index: int, number: int) -> None:
        """Threads cannot be signalled: the body goes on until it ends by itself."""

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
                "the lease of a running step was lost, or nobody keeps it any more",
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
        """End the keeper, and give the standard streams back."""
        self._logs.remove()
        self._keeper.close()

    def _output(self, index: int) -> str:
        return self._session.targets.all[index].output_path


class _ThreadStream:
    """Stands for a standard stream; what a thread with a log writes goes there."""

    def __init__(self, original: TextIO, files: threading.local) -> None:
        self._original = original
        self._files = files

    def write(self, text: str) -> int:
        return self._current().write(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._current(), name)

    def _current(self) -> TextIO:
        path = getattr(self._files, "path", None)
        if path is None:
            return self._original
        if self._files.stream is None:
            stream = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - to_file closes it
            self._files.stream = stream
        return cast("TextIO", self._files.stream)


class _ThreadLogs:
    """Standard streams that know which thread has which log."""

    def __init__(self) -> None:
        self._files = threading.local()
        self._saved = (sys.stdout, sys.stderr)
        sys.stdout = cast("TextIO", _ThreadStream(sys.stdout, self._files))
        sys.stderr = cast("TextIO", _ThreadStream(sys.stderr, self._files))

    @contextmanager
    def to_file(self, path: str) -> Iterator[None]:
        """Send what this thread prints to a file, which is made at its first line."""
        self._files.path, self._files.stream = path, None
        try:
            yield
        finally:
            if self._files.stream is not None:
                self._files.stream.close()
            self._files.path = self._files.stream = None

    def remove(self) -> None:
        """Put the former streams back."""
        sys.stdout, sys.stderr = self._saved
