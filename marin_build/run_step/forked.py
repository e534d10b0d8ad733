"""Process isolation: each step runs in a forked child of a warm, single-threaded template.

    applier --- orders ---> template --- fork ---> step (its own process group)
       ^------- answers -------'----------- answers ------'

One socket of sequenced packets carries the orders down and the answers up. A step answers with
its outcome before it exits; the template then says that the process is gone. A step that dies
without an answer is told apart by that. When the applier dies, the template kills what runs.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from marin_build.run_step.aftermath import after_death
from marin_build.run_step.isolation import Ended, Start
from marin_build.run_step.keeper import REGISTER_AFTER, Keeper
from marin_build.run_step.outcome import Failed, Outcome
from marin_build.run_step.worker import build_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.run_step.session import Session

_PACKET = 1 << 18
_LONGEST_MESSAGE = 20_000


@dataclass(frozen=True, slots=True)
class _Signal:
    """An order: send a signal to a running step's process group."""

    index: int
    number: int


@dataclass(frozen=True, slots=True)
class _Exited:
    """An answer of the template: a step's process is gone; `status` as from waitpid."""

    index: int
    status: int


class ForkIsolation:
    """Builds targets of one session in forked children."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._nonces: dict[int, str] = {}
        self._signalled: set[int] = set()
        self._answers: dict[int, Outcome] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sys.stdout.flush()
        sys.stderr.flush()
        self._template = os.fork()
        if self._template == 0:
            code = 1
            try:
                ours.close()
                _Template(session, theirs).serve()
                code = 0
            finally:
                os._exit(code)
        theirs.close()
        self._socket = ours

    def start(self, request: Start) -> None:
        """Begin to build a target."""
        self._nonces[request.index] = request.nonce
        self._order(request)

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended."""
        ended: list[Ended] = []
        self._socket.settimeout(timeout)
        while True:
            try:
                packet = self._socket.recv(_PACKET)
            except (TimeoutError, BlockingIOError):
                return ended
            except InterruptedError:
                continue
            if not packet:
                return ended + self._template_died()
            answer = pickle.loads(packet)  # noqa: S301 - from our own children
            if isinstance(answer, _Exited):
                ended.append(self._exited(answer))
                self._socket.settimeout(0)  # take what else has come, but do not wait for it
            else:
                self._answers[answer.index] = answer.outcome

    def terminate(self, index: int, *, kill: bool) -> None:
        """Signal a step's process group."""
        if index in self._nonces:
            self._signalled.add(index)
            self._order(_Signal(index, signal.SIGKILL if kill else signal.SIGTERM))

    def close(self) -> None:
        """End the template; it kills what still runs."""
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._template, 0)

    def _order(self, order: Start | _Signal) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.settimeout(None)
            self._socket.send(pickle.dumps(order))

    def _exited(self, answer: _Exited) -> Ended:
        nonce = self._nonces.pop(answer.index)
        outcome = self._answers.pop(answer.index, None)
        interrupted = answer.index in self._signalled
        self._signalled.discard(answer.index)
        if outcome is None:
            outcome = after_death(
                self._session, answer.index, nonce, answer.status, interrupted=interrupted
            )
        return Ended(answer.index, outcome)

    def _template_died(self) -> list[Ended]:
        """Answer for every running step after the template's death."""
        message = "the process that starts the steps died"
        ended = [Ended(index, Failed(0, 3, message)) for index in self._nonces]
        self._nonces.clear()
        return ended


@dataclass(slots=True)
class _Child:
    index: int
    output: str
    nonce: str
    began: float
    kept: bool = False


class _Template:
    """The warm process: forks steps, reaps them, hands the slow ones to the keeper."""

    def __init__(self, session: Session, orders: socket.socket) -> None:
        self._session = session
        self._socket = orders
        self._children: dict[int, _Child] = {}
        self._keeper: Keeper | None = None

    def serve(self) -> None:
        """Follow orders until the applier closes or dies."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()  # what exists now is shared with every step; do not touch it in collections
        import select

        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(wake_read, select.POLLIN)
        while True:
            for descriptor, _ in poll.poll(self._patience()):
                if descriptor == wake_read:
                    os.read(wake_read, 4096)
                elif not self._follow_order(wake_write):
                    self._end()
                    return
            self._reap()
            self._keep()

    def _patience(self) -> int | None:
        """Return the milliseconds until some step's lease must be handed to the keeper."""
        waiting = [child.began for child in self._children.values() if not child.kept]
        if not waiting:
            return None
        return max(1, int((min(waiting) + REGISTER_AFTER - time.monotonic()) * 1000) + 1)

    def _follow_order(self, wake_write: int) -> bool:
        packet = self._socket.recv(_PACKET)
        if not packet:
            return False
        match pickle.loads(packet):  # noqa: S301 - from our own parent
            case Start() as request:
                self._fork(request, wake_write)
            case _Signal(index=index, number=number):
                for pid, child in self._children.items():
                    if child.index == index:
                        _signal_group(pid, number)
        return True

    def _fork(self, request: Start, wake_write: int) -> None:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            os.close(wake_write)
            _run_child(self._session, request, self._socket)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)
        output = self._session.targets.all[request.index].output_path
        self._children[pid] = _Child(request.index, output, request.nonce, time.monotonic())

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if self._keeper is not None and pid == self._keeper.pid:
                self._keeper = None
                self._end()  # nobody keeps the leases: the work must not go on
                os._exit(1)
            child = self._children.pop(pid)
            _signal_group(pid, signal.SIGKILL)  # what outlives its step
            if child.kept and self._keeper is not None:
                self._keeper.release(child.output)
            with suppress(BrokenPipeError):
                self._socket.send(pickle.dumps(_Exited(child.index, status)))

    def _keep(self) -> None:
        now = time.monotonic()
        for pid, child in self._children.items():
            if not child.kept and now - child.began >= REGISTER_AFTER:
                if self._keeper is None:
                    self._keeper = Keeper(self._session.store)
                self._keeper.hold(child.output, child.nonce, pid, group=True)
                child.kept = True

    def _end(self) -> None:
        for pid in self._children:
            _signal_group(pid, signal.SIGKILL)
        if self._keeper is not None:
            self._keeper.close()


def _signal_group(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _run_child(session: Session, request: Start, answers: socket.socket) -> NoReturn:
    """Build one target in this fresh child, answer, and end."""
    code = 1
    try:
        gc.disable()
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        gc.enable()
        outcome = build_target(
            session,
            request.index,
            request.nonce,
            stale_version=request.stale_version,
            log_to=_log_to,
        )
        if isinstance(outcome, Failed) and len(outcome.message) > _LONGEST_MESSAGE:
            outcome = Failed(
                outcome.attempt,
                outcome.exit_code,
                outcome.message[:_LONGEST_MESSAGE],
                outcome.log,
                outcome.seconds,
                outcome.hint,
            )
        answers.send(pickle.dumps(Ended(request.index, outcome)))
        code = 0
    except BaseException as error:  # noqa: BLE001 - a fork must never return into its parent's code
        with suppress(Exception):
            failed = Failed(0, 3, f"{type(error).__name__}: {error}"[:_LONGEST_MESSAGE])
            answers.send(pickle.dumps(Ended(request.index, failed)))
    finally:
        os._exit(code)


@contextmanager
def _log_to(path: str) -> Iterator[None]:
    """Send everything this process and its children print to a file, for good."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
    # What the parent had not written yet is the parent's to write.
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - for good
    sys.stderr = open(  # noqa: SIM115 - for good
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
