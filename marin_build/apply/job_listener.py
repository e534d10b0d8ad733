"""Who hears of followed jobs, and how an error about one of them becomes its end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from marin_build.engines.jobs import QueueAwayError
from marin_build.errors import MarinBuildError, StoppedError, StoreAwayError
from marin_build.plan.outcomes import Failed, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.apply.events import Event
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.workers import Start


class Listener(Protocol):
    """Who hears of followed jobs."""

    def ended(self, index: int, outcome: Outcome) -> None:
        """Take note of how a target ended."""

    def moved(self, event: Event) -> None:
        """Take note of what a queue says of a job."""

    def ask_again(self, request: Start) -> None:
        """Take back a request whose job had ended when it was found."""


@contextmanager
def one_target(listener: Listener, index: int) -> Iterator[None]:
    """Let an error about one target end that target, and not the others.

    Raises:
        QueueAwayError, StoreAwayError: they are no error about a target, and pass.

    """
    try:
        yield
    except (QueueAwayError, StoreAwayError):
        raise
    except StoppedError as error:
        listener.ended(index, Stopped(error.what, error.hint or ""))
    except MarinBuildError as error:
        listener.ended(index, Failed(0, 1, error.with_reason, hint=error.hint or ""))
