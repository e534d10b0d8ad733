"""One body in the main thread of this process, at the keyboard, so that a debugger works in it.

It is built as any other: under its lease, which the keeper renews however long a person sits in the
debugger. A lost lease cannot kill the body alone: the caller's `lost` then ends the process.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from marin_build.pipeline.command_process import stdin_inherited
from marin_build.protocol.living_work import MARK, living_work
from marin_build.run_step.body import EXPIRED, Done, run_body
from marin_build.run_step.interpreter_end import is_owed, join_threads
from marin_build.run_step.lease_keeper import Keeper
from marin_build.run_step.leftover_processes import end_leftovers
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.run_step.workers import INTERRUPTED
from marin_build.store.hurry import hurry
from marin_build.workspace.own_files import open_own

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.run_step.body import Request
    from marin_build.run_step.session import Session


NOTE = "this attempt ran in the foreground: what it printed was not kept\n"
"""What its log says."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_QUIT_DEBUGGER = "BdbQuit:"
_INTERRUPTED_CODE = 128 + signal.SIGINT


class ForegroundBodies:
    """Runs a body in the thread that calls `run`: the main thread.

    Args:
        session: the run.
        lost: ends this process, in another thread: the lease of the running body was lost.

    """

    def __init__(self, session: Session, lost: Callable[[], None]) -> None:
        self._session = session
        self._lost = lost
        self.is_spent = False
        self.makes_logs = self.are_in_threads = False
        self._is_running = False
        self._was_interrupted = False
        self._lock = threading.Lock()  # so that the end of a body does not count as a lost lease
        self._keeper = Keeper(session.store, session.time_to_live)  # forked before the thread
        self._before = {number: signal.signal(number, self._interrupt) for number in _SIGNALS}
        threading.Thread(target=self._watch_keeper, daemon=True).start()

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:  # noqa: ARG002 - there is one slot
        """Run a body."""
        target = self._session.targets.all[request.index]
        if self._was_interrupted:
            return Done(_INTERRUPTED_CODE, INTERRUPTED)
        self._keeper.hold(
            target.output_path,
            request,
            os.getpid(),
            group=False,
            reports_end=True,
            wait=self._session.register_after,
        )
        connected = stdin_inherited.set(True)
        os.environ[MARK] = request.nonce
        before = {*threading.enumerate()}

        def end() -> None:
            # Threads may start more, and the interpreter waits for these, too.
            while owed := [t for t in threading.enumerate() if t not in before and is_owed(t)]:
                join_threads(owed, tell)

        try:
            with _held_log(request.log):
                self._is_running = True
                if self._session.has_expired(request.held_since):
                    done = EXPIRED
                else:
                    done = run_body(target, Meter.begin(OWN), is_interruptible=True, end=end)
            find = partial(living_work, request.nonce, request.log)
            left = end_leftovers(find, target.step.detached)
            if left.said:
                sys.stderr.write(f"{left.said}\n")
            done = done.with_left(left.refused)
        except KeyboardInterrupt:
            self._was_interrupted = True
            done = Done(_INTERRUPTED_CODE, INTERRUPTED)
        finally:
            with self._lock:
                self._is_running = False
            stdin_inherited.reset(connected)
            os.environ.pop(MARK, None)
            self._keeper.outlives(target.output_path)
            for number in _SIGNALS:  # a debugger may have left its own
                signal.signal(number, self._interrupt)
        sys.stdout.flush()
        if done.message.startswith(_QUIT_DEBUGGER):  # leaving the debugger ends the step
            self._was_interrupted = True
        return done

    def why_ended(self) -> str:
        """Return INTERRUPTED if a signal, or leaving the debugger, ended the body; else nothing."""
        return INTERRUPTED if self._was_interrupted else ""

    def release(self, index: int) -> None:
        """Have the keeper let go of its lease."""
        self._keeper.release(self._session.targets.all[index].output_path)

    def signal(self, index: int, number: int) -> None:
        """Do nothing: the keyboard sends its signals to the body itself."""

    def tend(self) -> float | None:
        """Nothing is due: the keeper has the lease from the start."""
        return None

    def close(self) -> None:
        """End the keeper, and put the former signal handlers back."""
        self._keeper.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, *_: object) -> None:
        """Interrupt the body; its result is committed all the same, unless the store hangs."""
        if self._is_running:
            raise KeyboardInterrupt
        self._was_interrupted = True
        hurry(self._session.store)

    def _watch_keeper(self) -> None:
        """Wait for the keeper to end; if it ends while the body runs, the lease was lost."""
        with suppress(ChildProcessError):  # the step may have waited for any child
            os.waitpid(self._keeper.pid, 0)
        with self._lock:
            if self._is_running:
                self._lost()


@contextmanager
def _held_log(path: str) -> Iterator[None]:
    """Write NOTE to the log, and lock it as a running body does, for `still_written`."""
    descriptor = open_own(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with open(descriptor, "a", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        log.write(NOTE)
        log.flush()
        yield
