"""Clients: the seam between a program and what runs its functions and commands.

Engines bring clients of their own; without one, jobs run on this machine.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, TypeVar

from marin_build.runtime.local_client import LocalClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.runtime.job_request import JobRequest
    from marin_build.runtime.jobs import JobHandle


class Client(Protocol):
    """What runs jobs."""

    def submit(self, request: JobRequest, adopt_existing: bool = True) -> JobHandle:
        """Start a job, without waiting for it.

        Args:
            request: what is run.
            adopt_existing: return the job that has the name already, if there is one; otherwise
                that is an error. For clients whose jobs have names of their own.

        Raises:
            JobAlreadyExists: there is such a job, and `adopt_existing` is false.

        """

    def shutdown(self, wait: bool = True) -> None:
        """Take no further job; `wait`: return when all that were submitted have ended."""


C = TypeVar("C", bound=Client | None)

_current: ContextVar[Client | None] = ContextVar("current_client", default=None)


def current_client() -> Client:
    """Return the client in force; a new LocalClient where none is."""
    return _current.get() or LocalClient()


@contextmanager
def set_current_client(client: C) -> Iterator[C]:
    """Put a client in force in a `with` block; None is the default one.

    It is a context variable: steps of StepRunner and jobs of a LocalClient see it, and threads
    that a program starts itself do not. Without `with` it has no effect.
    """
    token = _current.set(client)
    try:
        yield client
    finally:
        _current.reset(token)


def submit(request: JobRequest) -> JobHandle:
    """Start a job with the current client, without waiting for it."""
    return current_client().submit(request)
