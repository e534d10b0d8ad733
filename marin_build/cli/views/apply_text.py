"""The views of `apply`: a line or a JSON document for each event, and the end of a run."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import field
from typing import TYPE_CHECKING, ClassVar, assert_never

from marin_build.apply import events as report
from marin_build.apply.event_json import event_fields, event_name
from marin_build.cli.terminal import Styled, echo
from marin_build.cli.views.drift_text import show_drift
from marin_build.cli.views.failure_text import failure_block, some_of
from marin_build.cli.views.outputs_text import output_lines
from marin_build.cli.views.warnings import show_warning
from marin_build.observe.read_logs import without_escapes
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded
from marin_build.quick_dataclass import dataclass
from marin_build.text.readable import first_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import ApplyFinished, CriticalPath, Event
    from marin_build.cli.next_commands import NextCommands


_MOST_DRIFTED = 10
_MOST_FAILED = 10
"""How many failures are shown in full, so that a reader finds the first one."""


@dataclass(slots=True)
class TextView:
    """Shows events on standard output, and failures once more, complete, at the end.

    Args:
        commands: the command lines that it names.

    """

    commands: NextCommands
    total: int = 0
    done: int = 0
    succeeded: int = 0
    drifted: int = 0
    failures: list[tuple[report.StepEnded, Failed, int]] = field(default_factory=list)
    """Each failure with the number of targets that were built before it."""
    tries: Counter[str] = field(default_factory=Counter)
    blocked: dict[str, list[str]] = field(default_factory=dict)
    says_how_to_go_on: bool = False
    """Whether a step was stopped and said how to go on: the same command would stop again."""

    tells_more: ClassVar[bool] = True

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case report.ApplyStarted(run=run, to_build=count, reused=reused, jobs=jobs):
                self.total = count
                if count:
                    echo(f"run {run}: {count:,} to build, {reused:,} reused, {jobs} at once")
            case report.ApplyExpanded(expansions=names, to_build=count):
                self.total += count
                echo(f"  expanded  {', '.join(names)}: {count:,} more to build", fg="cyan")
            case report.StepDrifted():
                self._drifted(event)
            case report.StepEnded():
                self._ended(event)
            case report.StepWaiting(target=target, held_by=who, work=[first, *more]):
                others = f" and {len(more)} more" if more else ""
                echo(
                    f"  waiting   {target}  its holder {who} is dead, but {first}{others} still "
                    f"works on it; `marin-build unlock {target} --kill` ends that",
                    fg="cyan",
                )
            case report.StepWaiting(target=target, held_by=who):
                echo(
                    f"  waiting   {target}  is held by {who}; last seen change "
                    f"{event.unchanged_for:.0f} s ago, lease {event.time_to_live:.0f} s",
                    fg="cyan",
                )
            case report.StepPrinted(target=target, line=line):
                # A step may colour what it prints: here that would be noise.
                echo(Styled(f"{target} | ", "cyan"), without_escapes(line))
            case report.JobMoved(target=target, job=job, phase=phase):
                told = f"  {event.message}" if event.message else ""
                place = f"  on {event.place}" if event.place else ""
                echo(printable(f"  {phase:<9} {target}  {job}{place}{told}"), fg="bright_black")
            case report.StepLingers(target=target, text=text):
                echo(f"  waiting   {target}  has returned, {printable(text)}", fg="cyan")
            case report.Interrupting() | report.FailingFast():
                echo(_what_ends(event), err=True)
            case report.Warned():
                show_warning(event)
            case report.ApplyFinished():
                self._finish(event)

    def _ended(self, event: report.StepEnded) -> None:
        target, outcome = event.target, event.outcome
        match outcome:
            case Succeeded(seconds=seconds):
                self.succeeded += 1
                self._count("built", target, duration(seconds), "green")
            case Reused():
                self._count("reused", target, "", "bright_black")
            case Failed():
                self._failed(event, outcome)
            case Blocked(upstream=upstream, reason=reason):
                if upstream:
                    self.blocked.setdefault(upstream, []).append(target)
                elif reason:
                    echo(f"  blocked   {target}  {printable(reason)}", fg="red")
            case Stopped(message=message, hint=hint):
                echo(f"  stopped   {target}  {printable(message)}", fg="red")
                if hint:
                    self.says_how_to_go_on = True
                    echo(f"hint: {hint}", err=True)
            case Interrupted():
                echo(f"  interrupted {target}", fg="yellow")
            case _:
                assert_never(outcome)

    def _count(self, verb: str, target: str, detail: str, colour: str) -> None:
        self.done += 1
        width = len(str(self.total))
        head = Styled(f"  {verb:<9}", colour)
        echo(head, f" [{self.done:>{width}}/{self.total}] {target}  {detail}".rstrip())

    def _drifted(self, event: report.StepDrifted) -> None:
        """Show how an identity changed; of many only the first few."""
        self.drifted += 1
        if self.drifted <= _MOST_DRIFTED:
            words = printable(f"{event.target}  reused, though {event.message}")
            echo(f"  drift     {words}", fg="magenta")
        elif self.drifted == _MOST_DRIFTED + 1:
            echo("  drift     and more: marin-build plan shows them all", fg="magenta")

    def _failed(self, event: report.StepEnded, failure: Failed) -> None:
        self._note_failure(event, failure)
        said = f"  failed    {event.target}  {first_line(failure.message)}"
        if failure.retries_left:
            echo(f"{said}; {_next_try(failure)}", fg="yellow")
        else:
            echo(said + "; infrastructure" * (failure.cause == "infra"), fg="red")

    def _note_failure(self, event: report.StepEnded, failure: Failed) -> None:
        self.tries[event.target] += 1
        if not failure.retries_left:
            self.failures.append((event, failure, self.succeeded))

    def _finish(self, totals: report.ApplyFinished) -> None:
        for event, failure, built in self.failures[:_MOST_FAILED]:
            block = failure_block(
                event.name,
                failure,
                blocked=self.blocked.get(event.name, []),
                went_on=self.succeeded - built,
                not_started=totals.not_started,
                tries=self.tries[event.target],
                hint=failure.hint or f"run it alone with: {self.commands.alone(event)}",
            )
            _, head, facts = block.split("\n", 2)
            echo(Styled(f"\n{head}\n", "red"), facts, err=True)
        if rest := [event.name for event, _, _ in self.failures[_MOST_FAILED:]]:
            echo(f"\nerror: {some_of(rest)} failed, too", fg="red", err=True)
            echo("hint: marin-build status lists all; marin-build logs TARGET", err=True)
        echo(self.ending(totals))
        for line in where_time_went(totals, duration) if self.tells_more else ():
            echo(line)
        if self.tells_more:
            for line in output_lines(totals.outputs, totals.more_outputs, self.commands.paths):
                echo(line)
        show_drift(totals.drifted, self.commands.plan)
        if totals.interrupted or (totals.not_started and not self.says_how_to_go_on):
            echo(f"to go on: {self.commands.again}", err=True)

    def ending(self, totals: report.ApplyFinished) -> str:
        """Return the line that ends the run."""
        return totals_line(totals, duration)


class QuietView(TextView):
    """Shows failures, identities that changed, and totals only."""

    tells_more: ClassVar[bool] = False

    def __call__(self, event: Event) -> None:
        """Show an event, or keep it for the end."""
        match event:
            case report.StepEnded(outcome=Failed() as failure):
                self._note_failure(event, failure)
            case report.StepEnded(outcome=Succeeded()):
                self.succeeded += 1
            case report.StepEnded(outcome=Blocked() | Stopped()):
                super().__call__(event)
            case report.StepDrifted() | report.Warned() | report.ApplyFinished():
                super().__call__(event)
            case _:
                pass


def _what_ends(event: report.Interrupting | report.FailingFast) -> str:
    is_one = event.running == 1
    ending = f"ending {event.running} running step{'' if is_one else 's'}"
    if isinstance(event, report.Interrupting):
        return f"interrupted: {ending}; a second Ctrl-C kills {'it' if is_one else 'them'}"
    return f"failing fast: {ending}"


def _next_try(failure: Failed) -> str:
    """Return the words about further tries: `tries left: 2, the next in 0.8 s`."""
    after = "infrastructure, " if failure.cause == "infra" else ""
    when = f", the next in {duration(failure.retry_in)}" if failure.retry_in else ""
    return f"{after}tries left: {failure.retries_left}{when}"


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


_WORTH_TELLING = 10.0
"""Seconds; times shorter than this have no line."""
_SHOWN = 5
"""How many steps of a critical path are named, the slowest ones."""


def totals_line(totals: ApplyFinished, duration: Callable[[float], str]) -> str:
    """Return the line that ends every run: `3 built, 5 reused in 12 s`."""
    parts = [f"{totals.succeeded:,} built"]
    for count, word in (
        (totals.reused, "reused"),
        (totals.failed, "failed"),
        (totals.blocked, "blocked"),
        (totals.stopped, "stopped"),
        (totals.interrupted, "interrupted"),
        (totals.not_started, "not started"),
    ):
        if count or word == "reused":
            parts.append(f"{count:,} {word}")
    line = f"{', '.join(parts)} in {duration(totals.seconds)}"
    if names := totals.waiting:
        line += f"; not known yet: the steps of {some_of(names)}"
    if (totals.saved_seconds or 0.0) >= _WORTH_TELLING:
        line += f"; reuse saved {duration(totals.saved_seconds or 0.0)}"
    return line


def where_time_went(totals: ApplyFinished, duration: Callable[[float], str]) -> list[str]:
    """Return lines about the slowest steps and the critical path; none for a short run."""
    if totals.seconds < _WORTH_TELLING:
        return []
    lines = []
    if len(totals.slowest) > 1:  # for one step, the line above shows all
        slowest = (f"{one.target} {duration(one.seconds)}" for one in totals.slowest)
        lines.append(f"  slowest:       {', '.join(slowest)}")
    if totals.critical_path is not None and totals.critical_path.count > 1:
        lines.append(f"  critical path: {_path(totals.critical_path, duration)}")
    return lines


def _path(path: CriticalPath, duration: Callable[[float], str]) -> str:
    by_time = sorted(path.steps, key=lambda step: step.seconds, reverse=True)
    slowest = set(by_time[:_SHOWN])
    shown = [step for step in path.steps if step in slowest]
    words = " > ".join(f"{step.target} {duration(step.seconds)}" for step in shown)
    left = path.count - len(shown)
    more = f", and {left} quicker ones" if left else ""
    return f"{duration(path.seconds)} in {path.count} steps: {words}{more}"


def show_json(event: Event) -> None:
    """Print an event as `{"event": "step_succeeded", ...}`; a warning on standard error."""
    if isinstance(event, report.Warned):
        show_warning(event)
        return
    line = json.dumps({"event": event_name(event), **event_fields(event)})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
