"""JobRequest: what a client is asked to run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.errors import SpecificationError
from marin_build.identity.canonical import FrozenDict, FrozenList
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.pipeline.stands_for import StandsForResources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Work = Callable[[], object] | tuple[str, ...]
    Words = Sequence[str | os.PathLike[str]]


class StandsForWork:
    """A value that a request may be given in the place of a function or a command line."""

    __slots__ = ()

    @property
    def lowered_work(self) -> Work:
        """A function without arguments, or the words of a command line."""
        raise NotImplementedError


class Surroundings(Protocol):
    """What a job finds where it runs, as other dialects say it: `JobEnvironment` is ours."""

    @property
    def env_vars(self) -> Mapping[str, str]:
        """Environment variables, added to those where it runs."""

    @property
    def extras(self) -> Sequence[str]:
        """Groups of dependencies to install."""

    @property
    def pip_packages(self) -> Sequence[str]:
        """Packages to install."""


@dataclass(frozen=True, slots=True)
class JobEnvironment:
    """What a job finds where it runs.

    Args:
        env_vars: environment variables, added to those where it runs.
        extras: groups of dependencies to install.
        pip_packages: packages to install.

    """

    env_vars: Mapping[str, str] = FrozenDict()
    extras: Sequence[str] = ()
    pip_packages: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_vars", FrozenDict(self.env_vars))
        for name in ("extras", "pip_packages"):
            object.__setattr__(self, name, FrozenList(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a client is asked to run, and where.

    Args:
        name: for people and engines, without spaces; engines may refuse a name that is in use.
        entrypoint: a function without arguments, a command line as texts and paths, or what stands
            for them.
        resources: what it needs.
        environment: variables and packages; added to `env_vars` and `pip_dependency_groups`.
        replicas: how many tasks run it as a gang; None: as its resources say.
        processes_per_task: processes of one task that share its GPUs.
        max_retries_failure: further tries after failures of its own.
        max_retries_preemption, max_task_failures, priority: for clients that know them.
        timeout: how long it may run: seconds, a timedelta, or a value with `to_seconds()`.
        env_vars: environment variables, added to those where it runs.
        pip_dependency_groups: groups of dependencies to install where it runs; what runs on this
            machine has what this program has.

    Raises:
        SpecificationError: an illegal name, or an entrypoint that cannot be run; a ValueError.

    """

    name: str
    entrypoint: Work | Words | StandsForWork
    resources: ResourceConfig | StandsForResources = field(default_factory=ResourceConfig)
    environment: Surroundings | None = None
    replicas: int | None = None
    processes_per_task: int = 1
    max_retries_failure: int = 0
    max_retries_preemption: int = 100
    max_task_failures: int = 0
    priority: int = 0
    timeout: Any = None
    env_vars: Mapping[str, str] = field(default=FrozenDict(), kw_only=True)
    pip_dependency_groups: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        put, given = object.__setattr__, self.environment or JobEnvironment()
        put(self, "env_vars", FrozenDict({**given.env_vars, **self.env_vars}))
        groups = dict.fromkeys([*given.extras, *self.pip_dependency_groups])
        put(self, "pip_dependency_groups", FrozenList(groups))
        if isinstance(self.entrypoint, list | tuple):
            put(self, "entrypoint", tuple(map(_word, self.entrypoint)))
        if not self.name or " " in self.name:
            what = f"the name of the job `{self.name}` has spaces"
            raise SpecificationError(what if self.name else "a job needs a name")
        if not _is_work(self.entrypoint):
            raise SpecificationError(
                f"the entrypoint of the job `{self.name}` is neither a function nor a command",
                hint="give a function without arguments, or a list of words",
            )

    @property
    def work(self) -> Work:
        """The function without arguments, or the words of the command line."""
        given: Any = self.entrypoint
        lowered: Work = given.lowered_work if isinstance(given, StandsForWork) else given
        return lowered

    @property
    def needs(self) -> ResourceConfig:
        """The resources as steps have them, as many replicas as are asked for.

        Raises:
            SpecificationError: there are no such resources.

        """
        given = self.resources
        needs = given.lowered_resources if isinstance(given, StandsForResources) else given
        if self.replicas is None or isinstance(needs.device, TpuDevice):
            return needs  # the tasks of a TPU follow from its slices
        return replace(needs, replicas=self.replicas)

    @property
    def longest_seconds(self) -> float | None:
        """How long it may run, in seconds; None: without end.

        Raises:
            SpecificationError: `timeout` is no duration.

        """
        given = self.timeout
        if isinstance(given, timedelta):
            return given.total_seconds()
        seconds = given.to_seconds() if hasattr(given, "to_seconds") else given
        if seconds is None or isinstance(seconds, int | float):
            return seconds
        raise SpecificationError(
            f"the timeout of the job `{self.name}` is a {type(given).__name__}, not a duration",
            hint="give seconds",
        )


def _word(given: object) -> object:
    return os.fspath(given) if isinstance(given, os.PathLike) else given


def _is_work(given: object) -> bool:
    if isinstance(given, StandsForWork) or callable(given):
        return True
    return isinstance(given, tuple) and bool(given) and all(isinstance(w, str) for w in given)
