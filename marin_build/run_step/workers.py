"""The seam between the build loop and what builds targets on this machine."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.plan.outcomes import Outcome
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
        gpus: the devices it gets, as CUDA_VISIBLE_DEVICES names them; empty: left as it is.
        timeout: seconds after which the build loop ends it; None: it does not.
        refusal: why it must not be built on this machine; empty if it may. A target that is built
            already, or that another run builds, does not need this machine: it is not refused.

    """

    index: int
    nonce: str
    stale_version: str = ""
    seen: Seen | None = None
    force: bool = False
    forced_over: str | None = None
    gpus: tuple[str, ...] = ()
    timeout: float | None = None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer: how it ended."""

    index: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Lingers:
    """News of a target that is being built: its step has returned, and waits for something."""

    index: int
    text: str


class Isolation(Protocol):
    """Builds targets and says how they ended."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing can be built any more, whatever is asked for."""

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """Call a function with each answer in the thread that has it, before anything is started.

        Only an isolation whose threads build one target after the other need do so; others go on
        to return their answers from `wait`. The function may call `start`: then this very thread
        builds that target next.
        """

    def start(self, request: Start) -> None:
        """Begin to build a target; called by one thread at a time."""

    def wait(self, timeout: float | None) -> Sequence[Ended | Lingers]:
        """Return what has ended, and other news, waiting for some or for `timeout` seconds."""

    def wake(self) -> None:
        """Make `wait` return, now or the next time; safe in a signal handler."""

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """Ask a running step to end (SIGTERM), or kill it and all it started."""

    def close(self) -> None:
        """End everything that still runs and free what was held."""


_SIGNALLED = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
_HEARD_WITHIN = 0.5
_LOOK = 0.02


def hear_interrupt(exit_code: int, asked_to_end: Callable[[], object]) -> None:
    """Wait a moment for an interrupt of this run, if a signal ended a body before it was asked to.

    Who ends a job signals all its processes, and a body may be gone before this process has heard
    of it. Else the attempt would count as failed.

    Args:
        exit_code: how the body ended.
        asked_to_end: whether the run knows that it is to end.

    """
    deadline = time.monotonic() + _HEARD_WITHIN
    while exit_code in _SIGNALLED and not asked_to_end() and time.monotonic() < deadline:
        time.sleep(_LOOK)


INTERRUPTED = "interrupted"
