"""The errors for a run that did not build everything; they hold its totals and its failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.apply.events import StepEnded
from marin_build.errors import StepFailedError, StoppedError
from marin_build.plan.outcomes import Blocked, Failed, Stopped
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.errors import Fact


_SHOWN = 10


@dataclass(frozen=True, slots=True)
class FailedTarget:
    """A target that failed: the name of its step, its id, and how it failed."""

    name: str
    target: str
    outcome: Failed


class ApplyFailedError(StepFailedError):
    """Targets failed, or are blocked.

    Args:
        totals: what became of all targets.
        ended: the last event of each target that failed, was stopped or is blocked.

    """

    def __init__(self, totals: ApplyFinished, ended: Sequence[StepEnded]) -> None:
        counts = ((totals.failed, "failed"), (totals.blocked, "blocked"))
        said = ", ".join(_counted(count, how) for count, how in counts if count)
        first = next((each.target for each in ended if isinstance(each.outcome, Failed)), None)
        hint = f"the log of the first one: project.logs({first!r})" if first is not None else None
        super().__init__(said, facts=_facts(ended), hint=hint)
        self.totals = totals
        self.ended = tuple(ended)

    @property
    def failures(self) -> tuple[FailedTarget, ...]:
        """Each target that failed, and how it did so for the last time."""
        return tuple(
            FailedTarget(each.name, each.target, each.outcome)
            for each in self.ended
            if isinstance(each.outcome, Failed)
        )


class ApplyStoppedError(StoppedError):
    """Targets must not be built from here: a lease was lost, or a step changed; nothing failed.

    Args:
        totals: what became of all targets.
        ended: the last event of each target that was stopped or is blocked.

    """

    def __init__(self, totals: ApplyFinished, ended: Sequence[StepEnded]) -> None:
        super().__init__(_counted(totals.stopped, "stopped"), facts=_facts(ended))
        self.totals = totals
        self.ended = tuple(ended)


def _counted(count: int, how: str) -> str:
    return f"{count} target{'s' if count != 1 else ''} {how}"


def _facts(ended: Sequence[StepEnded]) -> list[Fact]:
    facts = [(each.target, printable(_said(each))) for each in ended[:_SHOWN]]
    return [*facts, *([("more", str(len(ended) - _SHOWN))] if len(ended) > _SHOWN else [])]


def _said(each: StepEnded) -> str:
    match each.outcome:
        case Failed(exit_code=code, message=message):
            return f"exit code {code}: {next(iter(message.splitlines()), '')}"
        case Blocked(upstream=upstream) if upstream:
            return f"blocked by {upstream}"
        case Blocked(reason=reason):
            return f"blocked: {reason}" if reason else "blocked"
        case Stopped(message=message):
            return message
    return ""


@dataclass(slots=True)
class FailureCollector:
    """Collects the events of targets that failed for good, were stopped or are blocked."""

    ended: list[StepEnded] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Keep an event that says that a target failed for good, was stopped or is blocked."""
        if isinstance(event, StepEnded):
            outcome = event.outcome
            is_last = isinstance(outcome, Failed) and outcome.retry_in is None
            if is_last or isinstance(outcome, Stopped | Blocked):
                self.ended.append(event)

    def raise_unless_built(self, totals: ApplyFinished) -> None:
        """Raise an error if, by its totals, the run did not build everything.

        Raises:
            KeyboardInterrupt: a user or a signal ended the run early.
            ApplyFailedError: targets failed, or are blocked.
            ApplyStoppedError: targets must not be built from here.

        """
        if totals.was_interrupted:
            raise KeyboardInterrupt
        if totals.failed or (totals.blocked and not totals.stopped):
            raise ApplyFailedError(totals, self.ended)
        if totals.stopped:
            raise ApplyStoppedError(totals, self.ended)
