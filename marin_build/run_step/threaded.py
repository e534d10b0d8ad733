"""Thread isolation: steps share this process. Light, but a step cannot be killed alone."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from marin_build.run_step.isolation import Ended, Start
from marin_build.run_step.keeper import REGISTER_AFTER, Keeper
from marin_build.run_step.outcome import Failed, Interrupted
from marin_build.run_step.worker import build_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.run_step.session import Session


class ThreadIsolation:
    """A pool of threads that build targets of one session."""

    def __init__(self, session: Session, jobs: int) -> None:
        self._session = session
        self._requests: queue.SimpleQueue[Start | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._running: dict[int, tuple[float, str]] = {}
        self._registered: set[int] = set()
        # The keeper is forked before the first thread starts.
        self._keeper = Keeper(session.store)
        self._streams = _ThreadStream.install()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(jobs)]
        for thread in self._threads:
            thread.start()

    def start(self, request: Start) -> None:
        """Begin to build a target."""
        self._running[request.index] = (time.monotonic(), request.nonce)
        self._requests.put(request)

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended."""
        self._keep()
        patience = REGISTER_AFTER if timeout is None else min(timeout, REGISTER_AFTER)
        try:
            found = [self._ended.get(timeout=patience)]
            while not self._ended.empty():
                found.append(self._ended.get_nowait())
        except queue.Empty:
            return []
        for ended in found:
            self._running.pop(ended.index, None)
            if ended.index in self._registered:
                self._registered.discard(ended.index)
                self._keeper.release(self._output(ended.index))
        return found

    def terminate(self, index: int, *, kill: bool) -> None:
        """Threads cannot be killed: the step goes on until it ends by itself."""

    def close(self) -> None:
        """Stop the threads that have nothing to do, and the keeper."""
        for _ in self._threads:
            self._requests.put(None)
        self._streams.remove()
        self._keeper.close()

    def _output(self, index: int) -> str:
        return self._session.targets.all[index].output_path

    def _keep(self) -> None:
        """Hand the leases of steps that take long to the keeper."""
        now = time.monotonic()
        for index, (began, nonce) in self._running.items():
            if index not in self._registered and now - began > REGISTER_AFTER:
                self._keeper.hold(self._output(index), nonce, os.getpid(), group=False)
                self._registered.add(index)

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            try:
                outcome = build_target(
                    self._session,
                    request.index,
                    request.nonce,
                    stale_version=request.stale_version,
                    log_to=self._streams.to_file,
                )
                self._ended.put(Ended(request.index, outcome))
            except KeyboardInterrupt:
                self._ended.put(Ended(request.index, Interrupted()))
            except BaseException as error:  # noqa: BLE001 - a lost answer would hang the run
                message = f"{type(error).__name__}: {error}"
                self._ended.put(Ended(request.index, Failed(0, 3, message)))


class _ThreadStream:
    """Stands for sys.stdout and sys.stderr; what a step's thread writes goes to its log."""

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
            self._files.stream = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - closed by to_file
        stream: TextIO = self._files.stream
        return stream

    @classmethod
    def install(cls) -> _Installed:
        return _Installed()


class _Installed:
    """The two streams in place, and the way to give a thread its log."""

    def __init__(self) -> None:
        self._files = threading.local()
        self._saved = (sys.stdout, sys.stderr)
        sys.stdout = _ThreadStream(sys.stdout, self._files)
        sys.stderr = _ThreadStream(sys.stderr, self._files)

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
