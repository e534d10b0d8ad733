"""How a try to build a target ended: values that workers, the schedule and events share.

A worker returns an `Outcome`. The schedule moves the target to the state of that outcome, and an
event carries it to views and to the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from marin_build.pipeline.retries import Cause
    from marin_build.protocol.lease import Lease


@dataclass(frozen=True, slots=True)
class Succeeded:
    """This run built and committed the target in `seconds`; `attempt` counts from 1."""

    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reused:
    """Another run had built it; `published`: that run sealed it, and this one published it."""

    published: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed.

    Args:
        attempt: which attempt; 0 if none was opened.
        exit_code: of its process.
        message: the error in words.
        log: the path or URL of its log; empty if there is none.
        seconds: how long it ran.
        hint: what to do next.
        cause: why it failed: `app`, `oom`, `timeout` or `infra`.
        peak_memory_bytes: of its largest process; None if that is not known.
        retries_left: how often the target may still be tried after such a failure; 0: this was the
            last try. The build loop sets it, workers leave it 0.
        retry_in: seconds until the next try begins, at the earliest; None: there is no next try.
        is_finished: the body did all its work, and its output is kept: there is no next try.

    """

    attempt: int
    exit_code: int
    message: str
    log: str = ""
    seconds: float = 0.0
    hint: str = ""
    cause: Cause = "app"
    peak_memory_bytes: int | None = None
    retries_left: int = 0
    retry_in: float | None = None
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Another run builds it under this lease; `version` is that of the lease in the store."""

    lease: Lease
    version: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A lost lease or a changed step forbids going on with this target."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The person or the machine cut the attempt short; the next run builds the target."""

    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """The target cannot be built; no worker tried it.

    Args:
        upstream: the dependency that this run did not build; empty if the plan already blocked the
            target.
        reason: why the plan blocked it; empty if only its dependencies are blocked.

    """

    upstream: str
    reason: str = ""


Outcome = Succeeded | Reused | Failed | Held | Stopped | Interrupted
"""The values that a worker returns."""
End = Succeeded | Reused | Failed | Stopped | Interrupted | Blocked
"""The ends that an event reports of a target, or of a try at it. `Held` is no end."""
