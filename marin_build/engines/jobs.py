"""The seam between `apply` and an engine with a queue of its own: jobs are submitted and followed.

Only the status file of a target says whether it is built. What a queue says of a job tells when to
look there, and why a job ended that could not say so itself.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from marin_build.errors import MarinBuildError
from marin_build.plan.plan_id import text_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from marin_build.pipeline.retries import Cause

_LONGEST_SLUG = 60


class Phase(enum.Enum):
    """How far a job has come."""

    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """The queue says nothing that tells. It never means that the job failed."""


@dataclass(frozen=True, slots=True)
class JobState:
    """What a queue says of one job.

    Args:
        phase: how far it has come.
        words: the queue's own words, `NODE_FAIL`, for people.
        cause: why it ended, where the queue knows better than the program; None: it does not.
        place: the machines it runs on, for people; empty if it does not run.
        hint: what a person must do before it starts; empty: nothing.

    """

    phase: Phase
    words: str = ""
    cause: Cause | None = None
    place: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job to submit.

    Args:
        name: the same for every submit of the same attempt at the same target.
        spec: the text of the job's file, exactly as a plan directory holds it.
        after: the ids of jobs that must have ended before, well or badly: it looks itself whether
            what it needs is built.

    """

    name: str
    spec: str
    after: tuple[str, ...] = ()


def job_name(prefix: str, target: str) -> str:
    """Return the name of a target's job: the same for one target under one prefix, always."""
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in target)
    digest = text_digest(f"{prefix}\n{target}")
    return f"mb-{slug[:_LONGEST_SLUG]}-{digest[:10]}"


class QueueAwayError(MarinBuildError):
    """The queue gives no answer now. Nothing is known of the jobs, and of a submit neither."""

    exit_code: ClassVar[int] = 4


class JobNotYetError(QueueAwayError):
    """The queue answers, and cannot take this one job now: it may later."""


class JobRefusedError(MarinBuildError):
    """The queue refuses a job: no later try would do better."""


class JobQueue(ABC):
    """The jobs of one engine; every call asks the engine, and may raise QueueAwayError.

    Attributes:
        poll_every: seconds between two questions about all jobs together.

    """

    poll_every: float

    @abstractmethod
    def check(self) -> None:
        """Raise a MarinBuildError if no job can be submitted from this machine."""

    @abstractmethod
    def find(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the ids of those jobs, by name, that wait or run; one request for all of them."""

    def find_released(self, names: Collection[str]) -> Mapping[str, str]:
        """Return the same as `find`, for jobs that others wait for.

        Override it if `find` ends jobs that the queue failed to start: here they may start again.
        """
        return self.find(names)

    def look(self, names: Collection[str]) -> Mapping[str, tuple[str, JobState]]:
        """Return ids and states of those jobs, by name, that wait or run; nothing is changed.

        A person waits for it, so a queue that is away should say so within seconds. Override it if
        `find` tidies up.
        """
        ids = self.find(names)
        states = self.poll({id_: name for name, id_ in ids.items()}) if ids else {}
        return {name: (id_, states[id_]) for name, id_ in ids.items()}

    @abstractmethod
    def submit(self, job: JobRequest) -> str:
        """Submit a job that `find` does not know; return its id.

        Raises:
            JobRefusedError: the engine does not take it.
            QueueAwayError: no answer; the job may have been taken: `find` will tell.
            JobNotYetError: not taken now, and others may be.

        """

    def batches(self, jobs: Sequence[JobRequest]) -> Sequence[Sequence[JobRequest]]:
        """Return jobs in groups that one request can submit; most engines take them one by one."""
        return [[job] for job in jobs]

    def submit_batch(self, jobs: Sequence[JobRequest]) -> Sequence[str]:
        """Submit a group that `batches` made; return the ids, in the same order.

        Raises:
            JobRefusedError: the engine takes none of them.
            QueueAwayError: no answer; the jobs may have been taken: `find` will tell.

        """
        return [self.submit(job) for job in jobs]

    @abstractmethod
    def poll(self, jobs: Mapping[str, str]) -> Mapping[str, JobState]:
        """Return the states of jobs, by id; one request for all of them.

        Args:
            jobs: id -> name. Where an id means a job of another name by now, it is UNKNOWN.

        """

    @abstractmethod
    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:
        """Ask jobs to end, as the engine does it (SIGTERM first), or kill them at once.

        Args:
            jobs: id -> name. Where an id means a job of another name by now, that is left alone.
            kill: whether to kill them.

        """

    def forget(self, job_id: str) -> None:  # noqa: B027 - most engines forget by themselves
        """Free what the engine keeps of a job whose end is known."""

    def says_why(self, line: str) -> bool:  # noqa: ARG002 - most engines print nothing there
        """Return whether a line of a job's output is the engine's own word on why it ended."""
        return False

    def output_of(self, job_id: str) -> str:  # noqa: ARG002 - some engines keep none
        """Return the local file with what a job printed outside its step; empty: there is none."""
        return ""
