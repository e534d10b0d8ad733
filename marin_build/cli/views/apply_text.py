"""What apply reports, a line an event."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import click

from marin_build.apply import events as report
from marin_build.cli.views.apply_summary import totals_line, where_time_went

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event

_TAIL_LINES = 20
_SHOWN_BLOCKED = 5
_TAIL_BYTES = 64 * 1024


@dataclass(slots=True)
class TextView:
    """Shows events on standard output, and failures once more, complete, at the end.

    `again` is the command that goes on; `alone` gives the one that builds a failed target alone.
    """

    again: str
    alone: Callable[[report.StepFailed], str]
    total: int = 0
    done: int = 0
    failures: list[report.StepFailed] = field(default_factory=list)
    blocked: dict[str, list[str]] = field(default_factory=dict)
    tells_where_time_went: ClassVar[bool] = True

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case report.ApplyStarted(run=run, to_build=count, reused=reused, jobs=jobs):
                self.total = count
                if count:
                    click.echo(f"run {run}: {count} to build, {reused} reused, {jobs} at once")
            case report.StepSucceeded(target=target, seconds=seconds):
                self._count("built", target, duration(seconds), "green")
            case report.StepReused(target=target):
                self._count("reused", target, "", "bright_black")
            case report.StepFailed(retries_left=left) as failure:
                self._failed(failure, left)
            case report.StepWaiting(target=target, held_by=who):
                click.secho(
                    f"  waiting   {target}  is held by {who}; last seen change "
                    f"{event.unchanged_for:.0f} s ago, lease {event.time_to_live:.0f} s",
                    fg="cyan",
                )
            case report.StepBlocked(target=target, upstream=upstream):
                self.blocked.setdefault(upstream, []).append(target)
            case report.StepStopped(target=target, message=message, hint=hint):
                click.secho(f"  stopped   {target}  {message}", fg="red")
                if hint:
                    click.echo(f"hint: {hint}", err=True)
            case report.StepInterrupted(target=target):
                click.secho(f"  cut short {target}", fg="yellow")
            case report.Interrupting(running=running):
                click.echo(
                    f"interrupted: ending {running} running step(s); again kills them", err=True
                )
            case report.FailingFast(running=running):
                click.echo(f"failing fast: ending {running} running step(s)", err=True)
            case report.StepStarted():
                pass
            case report.ApplyFinished():
                self._finish(event)

    def _count(self, verb: str, target: str, detail: str, colour: str) -> None:
        self.done += 1
        width = len(str(self.total))
        head = click.style(f"  {verb:<9}", fg=colour)
        click.echo(f"{head} [{self.done:>{width}}/{self.total}] {target}  {detail}".rstrip())

    def _failed(self, failure: report.StepFailed, left: int) -> None:
        if left:
            click.secho(
                f"  failed    {failure.target}  {failure.message}; tries left: {left}", fg="yellow"
            )
            return
        click.secho(f"  failed    {failure.target}  {_first_line(failure.message)}", fg="red")
        self.failures.append(failure)

    def _finish(self, totals: report.ApplyFinished) -> None:
        for failure in self.failures:
            click.echo(self._failure_block(failure, totals), err=True)
        click.echo(totals_line(totals, duration))
        for line in where_time_went(totals, duration) if self.tells_where_time_went else ():
            click.echo(line)
        if totals.interrupted or totals.not_started:
            click.echo(f"to go on: {self.again}", err=True)

    def _failure_block(self, failure: report.StepFailed, totals: report.ApplyFinished) -> str:
        attempt = f" (attempt {failure.attempt})" if failure.attempt else ""
        lines = [
            click.style(
                f"\nerror: `{failure.name}` failed with exit code "
                f"{failure.exit_code}{attempt}: {_first_line(failure.message)}",
                fg="red",
            )
        ]
        lines += [f"  | {line}" for line in log_tail(failure.log)]
        if failure.log:
            lines.append(f"  log:     {failure.log}")
        blocked = self.blocked.get(failure.name, [])
        if blocked:
            more = len(blocked) - _SHOWN_BLOCKED
            names = ", ".join(blocked[:_SHOWN_BLOCKED]) + (f" and {more} more" if more > 0 else "")
            lines.append(f"  blocked: {names}")
        if totals.not_started:
            lines.append(f"  not started: {totals.not_started} (-k goes on with what can be built)")
        lines.append(f"hint: {failure.hint or f'build it alone with: {self.alone(failure)}'}")
        return "\n".join(lines)


class QuietView(TextView):
    """Shows failures and totals only."""

    tells_where_time_went: ClassVar[bool] = False

    def __call__(self, event: Event) -> None:
        """Show an event, or keep it for the end."""
        match event:
            case report.StepFailed(retries_left=0):
                self.failures.append(event)
            case report.StepBlocked() | report.StepStopped() | report.ApplyFinished():
                super().__call__(event)
            case _:
                pass


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""


def log_tail(path: str, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a local log; none if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [
        "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)
        for line in text.splitlines()[-lines:]
    ]


def duration(seconds: float) -> str:
    """Return a duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 9.95:  # noqa: PLR2004 - below, tenths matter
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
