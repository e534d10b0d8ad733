"""The seam between the build loop and what builds targets on this machine; how a build ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from marin_build.pipeline.retries import Cause
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.look import Seen


@dataclass(frozen=True, slots=True)
class Start:
    """A request to build a target.

    Args:
        index: which target.
        nonce: recognises this attempt's lease.
        stale_version: a lease version the scheduler has watched for longer than it may live.
        seen: what the snapshot showed; None: look again.
        force: build it although it is built.
        forced_over: the version of the status that may be built over; None: whatever is there.
        gpus: the devices it gets, as CUDA_VISIBLE_DEVICES names them; none: nothing is said.
        refusal: why it must not be built on this machine, whoever built it or builds it elsewhere;
            empty if it may.

    """

    index: int
    nonce: str
    stale_version: str = ""
    seen: Seen | None = None
    force: bool = False
    forced_over: str | None = None
    gpus: tuple[str, ...] = ()
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer: how it ended."""

    index: int
    outcome: Outcome


class Isolation(Protocol):
    """Builds targets and says how they ended."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing can be built any more, whatever is asked for."""

    def start(self, request: Start) -> None:
        """Begin to build a target."""

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended, waiting for at least one or for `timeout` seconds."""

    def wake(self) -> None:
        """Make `wait` return, now or the next time; safe in a signal handler."""

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """Ask a running step to end (SIGTERM), or kill it and all it started."""

    def close(self) -> None:
        """End everything that still runs and free what was held."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Built and committed by this run."""

    attempt: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Reused:
    """Somebody had built it; `published` if this run finished the publishing of a seal."""

    published: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed.

    `attempt` is 0 if none was opened; `cause`: see retries.py; `peak_memory` in bytes, if known.
    """

    attempt: int
    exit_code: int
    message: str
    log: str = ""
    seconds: float = 0.0
    hint: str = ""
    cause: Cause = "app"
    peak_memory: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else builds it."""

    lease: Lease
    version: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """A lost lease or a changed step forbids going on with this target."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Cut short by the person or the machine; the next run builds it."""

    attempt: int = 0


Outcome = Succeeded | Reused | Failed | Held | Stopped | Interrupted


INTERRUPTED = "interrupted"
