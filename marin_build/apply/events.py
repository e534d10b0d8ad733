"""What apply reports, as values; views show them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApplyStarted:
    """`to_build` targets are to be built, `reused` are built already."""

    run: str
    to_build: int
    reused: int
    jobs: int


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A target was handed to a worker."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class StepSucceeded:
    """A target was built and committed."""

    name: str
    target: str
    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class StepReused:
    """A target turned out to be built: by somebody else, or sealed and now published."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    """An attempt failed; `retries_left` more will be made."""

    name: str
    target: str
    attempt: int
    exit_code: int
    message: str
    log: str
    seconds: float
    retries_left: int
    hint: str = ""


@dataclass(frozen=True, slots=True)
class StepWaiting:
    """Somebody else builds it."""

    name: str
    target: str
    held_by: str
    unchanged_for: float
    time_to_live: float


@dataclass(frozen=True, slots=True)
class StepBlocked:
    """It cannot be built, because `upstream` was not."""

    name: str
    target: str
    upstream: str


@dataclass(frozen=True, slots=True)
class StepStopped:
    """A lost lease or a changed step forbids going on with it."""

    name: str
    target: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class StepInterrupted:
    """It was cut short; the next apply builds it."""

    name: str
    target: str


@dataclass(frozen=True, slots=True)
class Interrupting:
    """The person asked to stop; `running` steps are being ended."""

    running: int


@dataclass(frozen=True, slots=True)
class ApplyFinished:
    """The totals.

    Args:
        run: the run's id.
        succeeded: targets built by this run.
        failed: targets whose last attempt failed.
        reused: targets that were built, before or meanwhile.
        blocked: targets that something failed above.
        stopped: targets that must not be built from here.
        interrupted: targets whose attempt was cut short.
        not_started: targets left alone after a failure or an interrupt.
        seconds: how long it took.
        was_interrupted: somebody asked the run to end before it was done.

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


Event = (
    ApplyStarted
    | StepStarted
    | StepSucceeded
    | StepReused
    | StepFailed
    | StepWaiting
    | StepBlocked
    | StepStopped
    | StepInterrupted
    | Interrupting
    | ApplyFinished
)
