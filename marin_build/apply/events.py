"""What apply reports, as values; views show them, and the journal keeps them (`event_json`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from marin_build.plan.drifted_targets import DriftedTargets
    from marin_build.plan.outcomes import End
    from marin_build.plan.requested_outputs import BuiltOutput


@dataclass(frozen=True, slots=True)
class ApplyStarted:
    """`to_build` targets are to be built, `reused` are built already."""

    run: str
    to_build: int
    reused: int
    jobs: int


@dataclass(frozen=True, slots=True)
class ApplyExpanded:
    """Steps are known that were not when the run began: `to_build` more are to be built.

    Args:
        expansions: the names of the expansions that gave them.
        to_build: how many of them, and of what needs them, are not built.

    """

    expansions: tuple[str, ...]
    to_build: int


@dataclass(frozen=True, slots=True)
class StepDrifted:
    """A target is reused, though it is declared differently now than when it was built.

    Args:
        name, target: which one.
        message: how it differs, in words.
        drift: the same for programs, as in `plan --json`.

    """

    name: str
    target: str
    message: str
    drift: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A target was handed to a worker.

    Args:
        name, target: which one.
        slot: which of the `jobs` places it runs in, from 1.
        after: the target whose end let it start: the last one it needs, or the one before it in its
            slot if it had to wait for a slot; itself if it is tried again; empty if it waited for
            none.
        queued: seconds it was ready, but waited for a slot or for what it takes of the machine.

    """

    name: str
    target: str
    slot: int
    after: str = ""
    queued: float = 0.0


@dataclass(frozen=True, slots=True)
class StepEnded:
    """A target, or a try at it, ended; in JSON `step_succeeded`, `step_failed` and so on."""

    name: str
    target: str
    outcome: End


@dataclass(frozen=True, slots=True)
class StepWaiting:
    """Another run builds a target; reported when that is found, and from time to time.

    Args:
        name, target: which one.
        held_by: the holder of its lease, in words.
        unchanged_for: seconds since this run last saw the lease renewed.
        time_to_live: seconds without renewal after which the lease may be taken over.
        work: what still works on it although its holder has died on this machine.

    """

    name: str
    target: str
    held_by: str
    unchanged_for: float
    time_to_live: float
    work: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepLingers:
    """A step has returned, and `text` says for which threads or processes of its it waits."""

    name: str
    target: str
    text: str


@dataclass(frozen=True, slots=True)
class StepPrinted:
    """A step printed a line; reported only by a run that was asked for it.

    Args:
        name, target: which one.
        line: as its log holds it, with secrets masked; other control characters may be in it.

    """

    name: str
    target: str
    line: str


@dataclass(frozen=True, slots=True)
class StillRunning:
    """The run goes on; reported from time to time while steps run.

    Args:
        running: how many targets run.
        seconds: since the run began.

    """

    running: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JobMoved:
    """The job of a target was submitted or found, or its queue says something new of it.

    Args:
        name, target: which one.
        job: engine and id, `slurm:1234`.
        phase: `queued` or `running`.
        message: the queue's own words; may be empty.
        place: the machines it runs on; empty if it does not run.

    """

    name: str
    target: str
    job: str
    phase: str
    message: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Interrupting:
    """A user or a signal asked the run to end; `running` steps are being ended."""

    running: int


@dataclass(frozen=True, slots=True)
class FailingFast:
    """A failure ends the run at once; `running` steps are being ended."""

    running: int


@dataclass(frozen=True, slots=True)
class Timed:
    """A target, and the seconds it took."""

    target: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """The chain of steps that decided when the run ended.

    Each started as soon as the one before it ended: it needs that one, or had to wait for its slot.

    Args:
        seconds: from the start of the first one to the end of the last one.
        count: how many steps it has.
        steps: the first one first, each with the seconds until the next one started, retries and
            waiting for others included. Of a long path only the slowest ones.

    """

    seconds: float
    count: int
    steps: tuple[Timed, ...]


@dataclass(frozen=True, slots=True)
class ApplyFinished:
    """The totals.

    Args:
        run: the run's id.
        succeeded: targets built by this run.
        failed: targets whose last attempt failed.
        reused: targets that were built, before or meanwhile.
        blocked: targets that cannot be built, as a rule because one that they need failed.
        stopped: targets that this run must not build: a lease was lost, or a step changed.
        interrupted: targets whose attempt was interrupted.
        not_started: targets left alone after a failure or an interrupt.
        seconds: how long it took.
        was_interrupted: the run was asked to end before it was done.
        saved_seconds: what the reused targets took when they were built, as far as their records
            were read; None if that is known of none.
        slowest: the attempts that took longest, the slowest one first.
        critical_path: None if nothing was started.
        outputs: the requested targets that are built, and where; of many the first 100.
        more_outputs: how many more there are.
        drifted: the reused targets that drifted, when the run began.
        waiting: the names of the expansions whose steps the run could not know.

    """

    run: str
    succeeded: int
    failed: int
    reused: int
    blocked: int
    stopped: int
    interrupted: int
    not_started: int
    seconds: float
    was_interrupted: bool = False
    saved_seconds: float | None = None
    slowest: tuple[Timed, ...] = ()
    critical_path: CriticalPath | None = None
    outputs: tuple[BuiltOutput, ...] = ()
    more_outputs: int = 0
    drifted: tuple[DriftedTargets, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that the user should know, and that does not end the run.

    Args:
        message: what, in words.
        hint: what to do about it; may be empty.
        kind: whether it may be wrong, or is only good to know.

    """

    message: str
    hint: str = ""
    kind: Literal["warning", "note"] = "warning"


Event = (
    ApplyStarted
    | ApplyExpanded
    | StepDrifted
    | StepStarted
    | StepEnded
    | StepWaiting
    | StepPrinted
    | StillRunning
    | JobMoved
    | StepLingers
    | Interrupting
    | FailingFast
    | Warned
    | ApplyFinished
)

PASSING = (StepPrinted, StillRunning)
"""Events for those who look on; no journal keeps them."""
