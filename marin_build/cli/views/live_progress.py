"""The progress of a run, from its events, for the live view. Pure: instants are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from marin_build.apply import events as report
from marin_build.apply.eta import Eta
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.apply.events import Event
    from marin_build.plan.outcomes import End


@dataclass(frozen=True, slots=True)
class Foreseen:
    """The facts about a run that are known before it begins.

    Args:
        targets: the ids of the targets to build, in topological order.
        needs: the dependencies of each of them, as positions in `targets`.
        seconds: how long each may take; None if that is unknown.
        stops_after: how many failures keep the run from starting targets; None: it goes on.

    """

    targets: Sequence[str] = ()
    needs: Sequence[Sequence[int]] = ()
    seconds: Sequence[float | None] = ()
    stops_after: int | None = None


@dataclass(slots=True)
class LiveProgress:
    """The progress of a run. Instants are seconds of one monotonic clock."""

    foreseen: Foreseen
    run: str = ""
    jobs: int = 1
    total: int = 0
    done: int = 0
    """How many of the `total` targets to build are built, by this run or meanwhile by another."""
    began: float = 0.0
    running: dict[str, float] = field(default_factory=dict)
    """Target -> the instant its attempt began, the earliest first."""
    failed: int = 0
    blocked: int = 0
    stopped: int = 0
    waiting: set[str] = field(default_factory=set)
    """Targets that another run builds."""
    in_queue: dict[str, report.JobMoved] = field(default_factory=dict)
    """Target -> what its queue said last, of targets that are built by jobs."""
    is_ending: bool = False
    """Whether the run starts no more targets."""
    _places: Mapping[str, int] = field(init=False)
    _eta: Eta = field(init=False)

    def __post_init__(self) -> None:
        """Index the foreseen targets, and prepare the estimate of the end."""
        self._places = {target: i for i, target in enumerate(self.foreseen.targets)}
        self._eta = Eta(self.foreseen.needs, self.foreseen.seconds)

    def note(self, event: Event, at: float) -> None:
        """Update the progress by an event that happened at an instant."""
        match event:
            case report.ApplyStarted(run=run, to_build=count, jobs=jobs):
                self.run, self.jobs, self.began = run, jobs, at
                self.total = count
            case report.ApplyExpanded(to_build=count):
                self.total += count
            case report.StepStarted(target=target):
                self.running[target] = at
                self.waiting.discard(target)
                if (place := self._places.get(target)) is not None:
                    self._eta.start(place, at)
            case report.StepEnded(target=target, outcome=outcome):
                self._ended(target, outcome)
            case report.StepWaiting(target=target):
                self.waiting.add(target)
                self._put_back(target)
            case report.JobMoved():
                self._moved(event, at)
            case report.Interrupting() | report.FailingFast():
                self.is_ending = True
            case report.ApplyFinished():
                self.running.clear()
        limit = self.foreseen.stops_after
        if limit is not None and self.failed + self.stopped >= limit:
            self.is_ending = True

    def expected(self, target: str) -> float | None:
        """Return the seconds a target may take; None if that is not known."""
        place = self._places.get(target)
        return None if place is None else self.foreseen.seconds[place]

    def remaining(self, now: float) -> float | None:
        """Return the seconds the run may still take; None if they are unknown."""
        return self._eta.remaining(now, self.jobs, only_running=self.is_ending)

    def place_of(self, target: str) -> str:
        """Return where a target is built that a job builds, in words; empty for the others."""
        if (job := self.in_queue.get(target)) is None:
            return ""
        place = f" on {job.place}" if job.place else ""
        if job.phase == "running":
            return f"{job.job}{place}"
        why = f": {job.message}," if job.message else ""
        return f"{job.phase}{why} as {job.job}"

    def _moved(self, event: report.JobMoved, at: float) -> None:
        """Count the time of a job anew where it begins to wait, or to run."""
        before = self.in_queue.get(event.target)
        self.in_queue[event.target] = event
        if event.target not in self.running or (before and before.phase == event.phase):
            return
        del self.running[event.target]  # the order is that of the instants
        self.running[event.target] = at
        if (place := self._places.get(event.target)) is not None:
            if event.phase == "running":
                self._eta.start(place, at)
            else:
                self._eta.put_back(place)

    def _ended(self, target: str, outcome: End) -> None:
        match outcome:
            case Failed(retries_left=left) if left:
                self._put_back(target)
                return
            case Succeeded() | Reused():
                self.done += 1
            case Failed():
                self.failed += 1
            case Blocked():
                self.blocked += 1
            case Stopped():
                self.stopped += 1
            case Interrupted():
                pass
            case _:
                assert_never(outcome)
        self.running.pop(target, None)
        self.waiting.discard(target)
        if (place := self._places.get(target)) is not None:
            self._eta.end(place)

    def _put_back(self, target: str) -> None:
        self.in_queue.pop(target, None)
        self.running.pop(target, None)
        if (place := self._places.get(target)) is not None:
            self._eta.put_back(place)
