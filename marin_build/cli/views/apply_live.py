"""The view of `apply` on a terminal: lines as in the plain view, and below them its progress.

    applier --- events ---> queue ---> one thread: lines, counts, drawing ---> terminal

The applier only appends events to the queue. A few times a second the thread turns them into lines,
writes these, and draws the progress below them anew. Other text for standard output or error goes
the same way; otherwise the next drawing would overwrite it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TextIO, cast

import click

from marin_build.apply import events as report
from marin_build.cli.views.apply_text import TextView
from marin_build.cli.views.live_progress import Foreseen, LiveProgress
from marin_build.observe.read_logs import last_line
from marin_build.protocol.layout import local_logs_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from marin_build.apply.events import Event
    from marin_build.cli.next_commands import NextCommands
    from marin_build.cli.views.live_region import LiveScreen
    from marin_build.plan.decisions import Plan


_DRAW_EVERY = 0.125
_LOOK_EVERY = 0.5
"""Seconds between two readings of the logs of the steps that are shown."""
_LOOK_AFTER = 1.0
"""A step that runs shorter than so many seconds does not get its log read."""


class LiveView:
    """Shows events, and the progress of the run; within a `with` block.

    Args:
        commands: the command lines that it names.
        foreseen: the facts about the run that are known before it begins.
        last_line: `last_line(run, target, since)` returns the last line that a target printed, in
            an attempt that began at `since`, in seconds since the epoch.

    """

    def __init__(
        self,
        commands: NextCommands,
        foreseen: Foreseen,
        last_line: Callable[[str, str, float], str],
    ) -> None:
        self._text = TextView(commands)
        self._progress = LiveProgress(foreseen)
        self._last_line = last_line
        self._last_lines: dict[str, str] = {}
        self._look_at = 0.0
        self._events: deque[tuple[float, Event]] = deque()
        self._lines: deque[str] = deque()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._screen: LiveScreen | None = None
        self._streams = (sys.stdout, sys.stderr)
        self._above: list[_Above] = []

    def __enter__(self) -> Self:
        """Take over those of the standard streams that are terminals."""
        self._streams = (sys.stdout, sys.stderr)
        sys.stdout, sys.stderr = (self._taken_over(stream) for stream in self._streams)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the streams back, after all lines are on the terminal."""
        try:
            self._close()
        finally:
            sys.stdout, sys.stderr = self._streams

    def __call__(self, event: Event) -> None:
        """Queue an event; the thread shows it."""
        self._events.append((time.monotonic(), event))
        if isinstance(event, report.ApplyStarted):
            for stream in self._above:
                stream.hold()
            self._thread = threading.Thread(target=self._draw_now_and_then, daemon=True)
            self._thread.start()
        elif isinstance(event, report.ApplyFinished):
            self._close()
        elif self._over.is_set():
            self._take_events()

    def _taken_over(self, stream: TextIO) -> TextIO:
        if not stream.isatty():
            return stream
        self._above.append(_Above(stream, self._lines))
        return cast("TextIO", self._above[-1])

    def _draw_now_and_then(self) -> None:
        with suppress(OSError):  # the terminal is gone; the run goes on
            while not self._over.wait(_DRAW_EVERY):
                self._draw()

    def _draw(self) -> None:
        if self._screen is None:
            from marin_build.cli.views.live_region import LiveScreen  # pays for rich

            self._screen = LiveScreen(self._streams[0])
        self._take_events()
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            self._look_at_logs(self._screen.shown_steps(self._progress), now)
        self._screen.draw(self._take_lines(), self._progress, self._last_lines, now)

    def _take_events(self) -> None:
        while self._events:
            at, event = self._events.popleft()
            self._progress.note(event, at)
            self._text(event)

    def _look_at_logs(self, shown: list[str], now: float) -> None:
        running, run = self._progress.running, self._progress.run
        old = {step: now - running[step] for step in shown if now - running[step] > _LOOK_AFTER}
        clock = time.time()
        self._last_lines = {
            step: self._last_line(run, step, clock - seconds) for step, seconds in old.items()
        }

    def _take_lines(self) -> str:
        text = "".join(self._lines.popleft() for _ in range(len(self._lines)))
        return click.unstyle(text) if os.environ.get("NO_COLOR") else text

    def _close(self) -> None:
        """Write all lines to the terminal, and restore the streams."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._over.set()
        thread.join()
        screen, self._screen = self._screen, None
        try:
            if screen is not None:
                with suppress(OSError):
                    screen.close()
        finally:
            begun = [stream.release() for stream in self._above]
            self._streams[0].write(self._take_lines() + "".join(begun))
            self._streams[0].flush()
        self._take_events()


class _Above:
    """Replaces a standard stream; lines written to it go above what the thread draws."""

    def __init__(self, original: TextIO, lines: deque[str]) -> None:
        self._original, self._lines = original, lines
        self._rest = ""
        self._is_held = False

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click tests for a binary stream this way
            raise TypeError(text)
        if not self._is_held:
            return self._original.write(text)
        whole, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            self._lines.append(whole + end)
        return len(text)

    def isatty(self) -> bool:
        return True  # only terminals are replaced; click asks for every line

    def flush(self) -> None:
        if not self._is_held:
            self._original.flush()

    def hold(self) -> None:
        """Queue whole lines from now on, for the thread that draws."""
        self._original.flush()
        self._is_held = True

    def release(self) -> str:
        """Write directly to the stream from now on; return the incomplete line not written yet."""
        self._is_held = False
        rest, self._rest = self._rest, ""
        return rest

    def __getattr__(self, name: str) -> object:
        return getattr(self._original, name)


def live_view(
    plan: Plan,
    expected: Mapping[int, float],
    commands: NextCommands,
    *,
    stops_after: int | None,
) -> LiveView:
    """Return the live view of a run.

    Args:
        plan: the plan of the run.
        expected: seconds that targets may take, by index, where that is known.
        commands: the command lines that it names.
        stops_after: how many failures keep the run from starting targets; None: it goes on.

    """
    targets = plan.targets
    order = sorted((*plan.to_build, *plan.sealed))
    places = {index: place for place, index in enumerate(order)}
    sealed = dict.fromkeys(plan.sealed, 0.0)  # they are only published
    foreseen = Foreseen(
        [targets.all[i].id for i in order],
        [[places[dep] for dep in targets.deps[i] if dep in places] for i in order],
        [sealed.get(i, expected.get(i)) for i in order],
        stops_after,
    )
    outputs = {targets.all[i].id: targets.all[i].output_path for i in order}

    def said(run: str, target: str, since: float) -> str:
        return last_line(local_logs_folder(outputs[target], target, run), since)

    return LiveView(commands, foreseen, said)
