"""What apply reports, on a terminal: lines as in the plain view, and a bar below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from marin_build.apply import events as report
from marin_build.cli.views.apply_text import TextView

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event

_SHOWN = 3


class LiveView:
    """A bar over all targets of the plan, reused ones counted, and what runs now."""

    def __init__(self, again: str, alone: Callable[[report.StepFailed], str]) -> None:
        self._text = TextView(again, alone)
        self._running: dict[str, None] = {}
        self._progress = Progress(
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[running]}", markup=False),
            console=Console(),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, running="")

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case report.ApplyStarted(to_build=count, reused=reused):
                self._text(event)
                if count:
                    self._progress.update(self._task, total=count + reused, completed=reused)
                    self._progress.start()
                return
            case report.StepStarted(target=target):
                self._running[target] = None
            case report.ApplyFinished():
                self._progress.stop()
            case report.StepSucceeded(target=target) | report.StepReused(target=target):
                self._running.pop(target, None)
                self._progress.advance(self._task)
            case (
                report.StepFailed(target=target)
                | report.StepWaiting(target=target)
                | (report.StepStopped(target=target))
                | report.StepInterrupted(target=target)
            ):
                self._running.pop(target, None)
            case report.StepBlocked() | report.Interrupting() | report.FailingFast():
                pass
        names = list(self._running)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        self._progress.update(self._task, running=", ".join(names[:_SHOWN]) + more)
        self._text(event)
