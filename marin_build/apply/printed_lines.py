"""The lines that the steps of a run print, as events: read from their logs while these grow.

    logs of running steps --- look, twice a second ---> StepPrinted ---> view
    end of a step ------------ read the rest ----------> StepPrinted, then StepEnded

So every isolation and every engine whose logs lie on this machine is followed in one way, and what
is shown is what the logs hold: whole lines, with secrets masked. A log in a bucket can be read when
its attempt has ended.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.apply import events as report
from marin_build.errors import StoreError
from marin_build.observe.growing_log import GrowingLog, log_in, log_of_running, logs_in
from marin_build.plan.outcomes import Failed, Interrupted, Succeeded
from marin_build.protocol import layout
from marin_build.protocol.layout import local_logs_folder
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from marin_build.apply.events import Event
    from marin_build.store.base import Store


_LOOK_EVERY = 0.5
"""Seconds between two looks at the logs of what runs."""
_AT_ONCE = 4
"""How many logs are read from a bucket at once."""
_PATIENCE = 60.0
"""Seconds for which the end of a run waits for these."""


@dataclass(slots=True)
class _Running:
    """A target that runs.

    Args:
        name, output: of the target.
        known: attempts whose logs were there before it began.
        number: its attempt; None if that is not known yet.

    """

    name: str
    output: str
    known: frozenset[int]
    number: int | None = None
    log: GrowingLog = field(default_factory=GrowingLog)


class PrintedLines:
    """Takes the events of a run, and passes them on with the lines that steps print among them.

    Args:
        run: the id of the run.
        outputs: target -> its output path.
        store: holds them.
        on_event: takes all of it.

    """

    def __init__(
        self,
        run: str,
        outputs: Mapping[str, str],
        store: Store,
        on_event: Callable[[Event], None],
    ) -> None:
        self._run, self._outputs, self._store, self._on_event = run, outputs, store, on_event
        self._running: dict[str, _Running] = {}
        self._look_at = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._sent: dict[Future[bytes], tuple[str, _Running]] = {}

    def __call__(self, event: Event) -> None:
        """Pass an event on; before the end of a step comes what it printed last."""
        match event:
            case report.StepStarted(name=name, target=target):
                output = self._outputs[target]
                known = logs_in(self._folder(target, output))
                self._running[target] = _Running(name, output, known)
            case report.StepWaiting(target=target):
                self._running.pop(target, None)  # another run builds it
            case report.JobMoved(target=target) if target in self._running:
                self._running[target].known = frozenset()  # a job that was found has a log
            case report.StepEnded(target=target, outcome=outcome) if target in self._running:
                attempt = 0
                if isinstance(outcome, Succeeded | Failed | Interrupted):
                    attempt = outcome.attempt
                self._end(target, self._running.pop(target), attempt)
            case report.ApplyFinished():
                self._close()
        self._on_event(event)

    def look(self, now: float) -> float:
        """Report what was printed since the last look; return when to look again.

        Args:
            now: seconds of the monotonic clock.

        """
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            for target, running in self._running.items():
                self._follow(target, running)
            self._take([future for future in self._sent if future.done()])
        return self._look_at

    def _follow(self, target: str, running: _Running) -> None:
        folder = self._folder(target, running.output)
        if running.number is None:
            running.number = log_of_running(folder, running.known)
        if running.number is not None:
            try:
                lines = list(running.log.new_lines(log_in(folder, running.number)))
            except OSError:
                return  # it was sent to its bucket: the end of the attempt has it
            self._report(target, running, lines)

    def _end(self, target: str, running: _Running, attempt: int) -> None:
        """Report the rest of a log; one that is in a bucket by now is read by another thread."""
        if attempt and attempt != running.number:
            running.number, running.log = attempt, GrowingLog()
        if running.number is None:
            return
        path = log_in(self._folder(target, running.output), running.number)
        before = -1
        while running.log.read != before:
            before = running.log.read
            try:
                lines = list(running.log.new_lines(path))
            except OSError:
                if is_url(running.output) and attempt:
                    self._pool = self._pool or ThreadPoolExecutor(_AT_ONCE, "logs")
                    future = self._pool.submit(self._read, running.output, attempt)
                    self._sent[future] = target, running
                    return
                break
            self._report(target, running, lines)
        self._report(target, running, running.log.last_line())

    def _read(self, output: str, attempt: int) -> bytes:
        blob = self._store.get(layout.log_path(output, attempt))
        return blob.data if blob is not None else b""

    def _take(self, futures: Iterable[Future[bytes]]) -> None:
        for future in futures:
            target, running = self._sent.pop(future)
            try:
                self._report(target, running, running.log.rest_of(future.result()))
            except StoreError as error:
                why = f"cannot show what `{target}` printed: {error.with_reason}"
                self._on_event(report.Warned(why, f"marin-build logs {target}"))

    def _close(self) -> None:
        if self._pool is not None:
            done, late = wait(self._sent, _PATIENCE)
            self._take([future for future in self._sent if future in done])
            self._pool.shutdown(wait=not late, cancel_futures=True)

    def _report(self, target: str, running: _Running, lines: Iterable[str]) -> None:
        for line in lines:
            self._on_event(report.StepPrinted(running.name, target, line))

    def _folder(self, target: str, output: str) -> str:
        """Return the folder of a target's logs on this machine; it may not be there yet."""
        return local_logs_folder(output, target, self._run)
