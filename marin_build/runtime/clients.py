"""Clients: the seam between a program and what runs its functions and commands.

Engines bring clients of their own; without one, jobs run on this machine.
"""

from __future__ import annotations

import enum
import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from marin_build.errors import SpecificationError, StepFailedError
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline.resources import ResourceConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType


class JobStatus(enum.Enum):
    """The state of a job."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_finished(self) -> bool:
        """Whether it will not change any more."""
        return self not in (JobStatus.PENDING, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a client is asked to run.

    Args:
        name: for people and engines; engines may refuse a name that is in use.
        entrypoint: a function without arguments, or a command line as words.
        resources: what it needs.
        env_vars: environment variables, added to those where it runs.
        pip_dependency_groups: groups of dependencies to install where it runs; what runs on this
            machine has what this program has.

    Raises:
        SpecificationError: an empty name, or an entrypoint that is neither.

    """

    name: str
    entrypoint: Callable[[], object] | tuple[str, ...]
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    env_vars: Mapping[str, str] = FrozenDict()
    pip_dependency_groups: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "env_vars", FrozenDict(self.env_vars))
        put(self, "pip_dependency_groups", tuple(self.pip_dependency_groups))
        if isinstance(self.entrypoint, list):
            put(self, "entrypoint", tuple(self.entrypoint))
        if not self.name:
            raise SpecificationError("a job needs a name")
        words = self.entrypoint
        if not callable(words) and not (
            isinstance(words, tuple) and words and all(isinstance(word, str) for word in words)
        ):
            raise SpecificationError(
                f"the entrypoint of the job `{self.name}` is neither a function nor a command",
                hint="give a function without arguments, or a list of words",
            )


class JobHandle(Protocol):
    """A job that was submitted."""

    def status(self) -> JobStatus:
        """Return where it stands now."""

    def wait(self, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Raises:
            StepFailedError: it did not succeed, and `raise_on_failure` is true.

        """


class Client(Protocol):
    """What runs jobs."""

    def submit(self, request: JobRequest) -> JobHandle:
        """Start a job, without waiting for it."""


class LocalClient:
    """Runs jobs on this machine: functions in threads, commands as processes.

    Resources are not limited. The threads of a program share one environment: the variables of a
    function are there for the whole program while it runs.
    """

    def submit(self, request: JobRequest) -> LocalJob:
        """Start a job."""
        return LocalJob(request)


class LocalJob:
    """A job on this machine."""

    def __init__(self, request: JobRequest) -> None:
        self._request = request
        self._status = JobStatus.PENDING
        self._error: BaseException | None = None
        self._done = threading.Event()
        # A program that ends does not wait for its jobs: their leases are stale at once.
        threading.Thread(target=self._run, name=request.name, daemon=True).start()

    def status(self) -> JobStatus:
        """Return where it stands now."""
        return self._status

    def wait(self, raise_on_failure: bool = True) -> JobStatus:
        """Wait until it is finished.

        Raises:
            StepFailedError: it failed, and `raise_on_failure` is true; the cause is its exception.

        """
        self._done.wait()
        if raise_on_failure and self._error is not None:
            raise StepFailedError(
                f"the job `{self._request.name}` failed: {_shown(self._error)}"
            ) from self._error
        return self._status

    def _run(self) -> None:
        self._status = JobStatus.RUNNING
        try:
            entrypoint, env_vars = self._request.entrypoint, self._request.env_vars
            if callable(entrypoint):
                with ENVIRONMENT.holding(env_vars):
                    entrypoint()
            else:
                run_command(entrypoint, env_vars)
            self._status = JobStatus.SUCCEEDED
        except BaseException as error:  # noqa: BLE001 - `wait` raises it again
            self._error = error
            self._status = JobStatus.FAILED
        finally:
            self._done.set()


def run_command(words: tuple[str, ...], env_vars: Mapping[str, str]) -> None:
    """Run a command; a failure is raised as the exit code of a program.

    Raises:
        StepFailedError: there is no such program.
        SystemExit: it failed.

    """
    import subprocess

    try:
        done = subprocess.run(words, env={**os.environ, **env_vars}, check=False)
    except OSError as error:
        raise StepFailedError(
            f"cannot run `{words[0]}`: {(error.strerror or '').lower()}"
        ) from None
    if done.returncode:
        raise SystemExit(done.returncode if done.returncode > 0 else 128 - done.returncode)


def _shown(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    return f"{type(error).__name__}: {error}"


class Environment:
    """Sets environment variables of this program while functions in threads need them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, int]] = {}
        self._before: dict[str, str | None] = {}

    @contextmanager
    def holding(self, env_vars: Mapping[str, str]) -> Iterator[None]:
        """Set variables for a block; the last function that needs one puts its old value back.

        Raises:
            StepFailedError: a function that runs now has set one of them to another value.

        """
        with self._lock:
            for name, value in env_vars.items():
                held = self._held.get(name)
                if held is not None and held[0] != value:
                    raise StepFailedError(
                        f"two functions that run at once set `{name}` to different values",
                        facts=[("values", f"{held[0]!r}, {value!r}")],
                        hint="the threads of a program share one environment: run one at a time",
                    )
            for name, value in env_vars.items():
                count = self._held.get(name, (value, 0))[1]
                if not count:
                    self._before[name] = os.environ.get(name)
                    os.environ[name] = value
                self._held[name] = (value, count + 1)
        try:
            yield
        finally:
            with self._lock:
                for name in env_vars:
                    self._give_back(name)

    def _give_back(self, name: str) -> None:
        value, count = self._held.pop(name)
        if count > 1:
            self._held[name] = (value, count - 1)
            return
        before = self._before.pop(name)
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


ENVIRONMENT = Environment()

_current: Client | None = None  # not a context variable: threads that run steps see it too
_default = LocalClient()


def current_client() -> Client:
    """Return the client in force; a LocalClient unless another was set."""
    return _current or _default


def set_current_client(client: Client | None) -> _Restored:
    """Put a client in force for this program; None returns to the default.

    The result may be used as a context manager: at its end the former client is in force again.
    """
    global _current
    before, _current = _current, client
    return _Restored(before)


class _Restored:
    """Puts a client back at the end of a block."""

    def __init__(self, before: Client | None) -> None:
        self._before = before

    def __enter__(self) -> Client:
        return current_client()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        set_current_client(self._before)


def submit(request: JobRequest) -> JobHandle:
    """Start a job with the current client, without waiting for it."""
    return current_client().submit(request)
