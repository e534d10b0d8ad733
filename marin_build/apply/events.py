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
    """The totals. `not_started`: left alone after a failure or an interrupt."""

    run: str
    succeeded: int
    failed: int
    reused: int
    blocked: int
    stopped: int
    interrupted: int
    not_started: int
    seconds: float


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
