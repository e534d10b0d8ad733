"""What a journal says of a run: how it ended, or how far it came, and what became of each target.

Pure. Whether a run that has not ended still goes on, no journal can say: operations/runs/runs.py
looks.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from marin_build.apply.journal import FINISHED
from marin_build.plan.payload_diff import dependency_name
from marin_build.untrusted_json import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.apply.journal import Entry, Journal


Outcome = Literal[
    "built", "reused", "failed", "stopped", "interrupted", "running", "died", "unfinished"
]
"""How a run ended. `reused`: other runs built all meanwhile. `unfinished`: it did not end, and
whether it still goes on is not known here."""

TargetOutcome = Literal[
    "built", "reused", "failed", "stopped", "interrupted", "blocked", "waiting", "begun"
]
_BY_EVENT: Mapping[str, TargetOutcome] = {
    "step_started": "begun",
    "step_succeeded": "built",
    "step_reused": "reused",
    "step_failed": "failed",
    "step_stopped": "stopped",
    "step_interrupted": "interrupted",
    "step_blocked": "blocked",
    "step_waiting": "waiting",
}
_COUNTS: Mapping[TargetOutcome, str] = {
    "built": "succeeded",
    "reused": "reused",
    "failed": "failed",
    "blocked": "blocked",
    "stopped": "stopped",
    "interrupted": "interrupted",
}
"""Outcomes that the totals count, and their names there."""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """What became of a target in a run.

    Args:
        name, target: the step's name and the target's id.
        outcome: of the last event about it; `begun`: it runs, or was interrupted.
        attempt, exit_code: of its last attempt; 0 and None if the journal does not say.
        message: why it failed or was stopped; or who holds it.
        log: where its log lies; empty if the journal does not say.
        seconds: how long its last attempt took; None if the journal does not say.
        since: when that event was, in seconds since the run began.
        job, phase, place: of one that runs as a job: engine and id, `queued` or `running`, and the
            machines it runs on; empty if the journal does not say.
        is_tried_again: whether it failed, and the run tries it again.

    """

    name: str
    target: str
    outcome: TargetOutcome
    attempt: int = 0
    exit_code: int | None = None
    message: str = ""
    log: str = ""
    seconds: float | None = None
    since: float = 0.0
    job: str = ""
    phase: str = ""
    place: str = ""
    is_tried_again: bool = False


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a journal says of a run.

    Args:
        outcome: how it ended; None if it did not, as far as the journal goes.
        seconds: how long it took, or how far its journal goes.
        counts: outcome of targets -> how many, those with any; reused ones were built before.
        to_build: how many targets it was to build; None if the journal does not say.
        targets: those that it began, found or gave up, in the order of their first event; none
            where only totals were read.

    """

    outcome: Outcome | None
    seconds: float
    counts: Mapping[TargetOutcome, int] = field(default_factory=dict)
    to_build: int | None = None
    targets: tuple[RunTarget, ...] = ()

    @property
    def open(self) -> tuple[RunTarget, ...]:
        """The targets that it had begun and not ended."""
        return tuple(each for each in self.targets if each.outcome == "begun")


class GrowingSummary:
    """What a journal says of its run, while it grows."""

    def __init__(self) -> None:
        self.targets: dict[str, RunTarget] = {}
        """By id, in the order of their first event."""
        self.expanded = 0
        """How many targets more are to be built than the run knew when it began."""
        self._totals: Mapping[str, Any] | None = None
        self._to_build: int | None = None
        self._at = 0.0

    def add(self, entry: Entry) -> str | None:
        """Take note of an entry; return the id of the target that it is about, if it is."""
        self._at = max(self._at, entry.at)
        id_ = _text(entry.fields.get("target"))
        if (outcome := _BY_EVENT.get(entry.event)) is not None:
            self.targets[id_] = _run_target(id_, outcome, entry, self.targets.get(id_))
            return id_
        match entry.event:
            case "apply_started":
                self._to_build = _whole(entry.fields.get("to_build"))
            case "apply_expanded":
                self.expanded += _whole(entry.fields.get("to_build")) or 0
            case "job_moved" | "step_lingers" if id_ in self.targets:
                self.targets[id_] = _moved(self.targets[id_], entry)
                return id_
            case event if event == FINISHED:
                self._totals = entry.fields
        return None

    def so_far(self) -> RunSummary:
        """Return what the entries say so far."""
        found = tuple(self.targets.values())
        if self._totals is None:
            counts = Counter(each.outcome for each in found)
            return RunSummary(None, self._at, counts, self._to_build, found)
        totals = self._totals
        counts = Counter({name: _whole(totals.get(key)) or 0 for name, key in _COUNTS.items()})
        took = _seconds(totals.get("seconds"))
        at = took if took is not None else self._at
        return RunSummary(_outcome(totals, counts), at, +counts, self._to_build, found)


def summary_of(journal: Journal) -> RunSummary:
    """Return what a journal says of its run, as far as it was written."""
    growing = GrowingSummary()
    for entry in journal.entries:
        growing.add(entry)
    return growing.so_far()


def _outcome(totals: Mapping[str, Any], counts: Mapping[TargetOutcome, int]) -> Outcome:
    """Return how a run ended, in the order in which its exit code is chosen."""
    if totals.get("was_interrupted"):
        return "interrupted"
    if counts["failed"] or (counts["blocked"] and not counts["stopped"]):
        return "failed"
    if counts["stopped"]:
        return "stopped"
    return "built" if counts["built"] else "reused"


def _run_target(
    id_: str, outcome: TargetOutcome, entry: Entry, before: RunTarget | None
) -> RunTarget:
    fields = entry.fields
    name = _text(fields.get("name"))
    said = (fields.get(key) for key in ("message", "held_by", "reason", "upstream"))
    exit_code = fields.get("exit_code")
    return RunTarget(
        name or dependency_name(id_),
        id_,
        outcome,
        _whole(fields.get("attempt")) or 0,
        exit_code if type(exit_code) is int else None,
        next((text for each in said if (text := _text(each))), ""),
        _text(fields.get("log")),
        _seconds(fields.get("seconds")),
        entry.at,
        before.job if before is not None and outcome != "begun" else "",
        is_tried_again=outcome == "failed" and fields.get("retry_in") is not None,
    )


def _moved(target: RunTarget, entry: Entry) -> RunTarget:
    """Return a target of whose job something new is known, or that waits for what it left."""
    if entry.event == "step_lingers":
        return replace(target, message=_text(entry.fields.get("text")))
    job, phase, place, message = (
        _text(entry.fields.get(key)) for key in ("job", "phase", "place", "message")
    )
    return replace(target, job=job, phase=phase, place=place, message=message)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    """Return an amount of time; None if that is none: any program may have written it."""
    try:
        return number(value) if value is not None else None
    except ValueError:
        return None


def _whole(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None
