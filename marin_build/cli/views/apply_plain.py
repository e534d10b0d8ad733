"""The view of `apply` where no terminal is: lines that a log of CI, a file or a pipe can hold.

A terminal shows what runs in rows that are drawn anew. Here a line says when a step starts, and one
line now and then says what runs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.apply import events as report
from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.apply_text import TextView, duration
from marin_build.cli.views.live_progress import Foreseen, LiveProgress
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event


_MOST_NAMED = 3
"""How many running steps a line names: the longest-running ones."""


@dataclass(slots=True)
class PlainView(TextView):
    """Shows the lines of `TextView`, and what starts and runs. `clock`: seconds that only grow."""

    clock: Callable[[], float] = time.monotonic
    progress: LiveProgress = field(default_factory=lambda: LiveProgress(Foreseen()))

    def __call__(self, event: Event) -> None:
        """Show an event."""
        now = self.clock()
        self.progress.note(event, now)
        match event:
            case report.StepStarted(target=target):
                echo(f"  started   {target}", fg="bright_black")
            case report.StillRunning():
                if self.progress.running:
                    echo(Styled("  running  ", "cyan"), f" {running_line(self.progress, now)}")
            case _:
                # The zero-argument form does not work in a class with slots.
                TextView.__call__(self, event)


@dataclass(slots=True)
class OneTargetView(PlainView):
    """Shows the build of one target. `target`: its id.

    If others have built it meanwhile, it is skipped, in the words of the scripts of a plan: many of
    them run side by side, and a line without a name would be anyone's.
    """

    target: str = ""

    def ending(self, totals: report.ApplyFinished) -> str:
        """Return the line that ends the run."""
        if self.total == 0 and totals.reused == 1 and not totals.succeeded:
            return f"skipped  {self.target}"
        return PlainView.ending(self, totals)


def running_line(progress: LiveProgress, now: float) -> str:
    """Return what runs, the longest-running first: `[3/40] train_ac2d 12 min 3 s and 5 more`."""
    named = [
        f"{target} {_elapsed(now - since)}{_place(progress, target)}"
        for target, since in list(progress.running.items())[:_MOST_NAMED]
    ]
    more = len(progress.running) - len(named)
    line = f"[{progress.done}/{progress.total}] {', '.join(named)}"
    line += f" and {more} more" if more else ""
    for count, word in (
        (progress.failed, "failed"),
        (progress.stopped, "stopped"),
        (progress.blocked, "blocked"),
        (len(progress.waiting), "waiting for other runs"),
    ):
        line += f"; {count} {word}" if count else ""
    return line


def _elapsed(seconds: float) -> str:
    """Return a growing duration; tenths of a second would only be noise."""
    return duration(seconds) if seconds >= 60 else f"{max(0, int(seconds))} s"  # noqa: PLR2004


def _place(progress: LiveProgress, target: str) -> str:
    place = progress.place_of(target)
    return f" ({printable(place)})" if place else ""
