"""`remote`: a function that the current client runs, where its resources are."""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, overload

from marin_build.identity.callables import RunsElsewhere
from marin_build.identity.canonical import FrozenDict, FrozenList
from marin_build.pipeline.placed import Placed
from marin_build.pipeline.resources import ResourceConfig
from marin_build.runtime.clients import current_client
from marin_build.runtime.job_request import JobEnvironment, JobRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class RemoteCallable(RunsElsewhere, Placed, Generic[P, R]):
    """A function, and what it needs where it runs.

    Calling it submits it to the current client, waits for its end and returns None: what it
    returned stays where it ran. An output is how it hands on results.

    Args:
        fn: the function.
        resources: what it needs.
        env_vars: environment variables where it runs.
        pip_dependency_groups, pip_packages: groups of dependencies, and packages, to install
            there.
        name: the job's name; None: the function's, with a random suffix.

    """

    fn: Callable[P, R]
    resources: ResourceConfig
    env_vars: Mapping[str, str] = FrozenDict()
    pip_dependency_groups: Sequence[str] = ()
    pip_packages: Sequence[str] = ()
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "env_vars", FrozenDict(self.env_vars))
        for name in ("pip_dependency_groups", "pip_packages"):
            object.__setattr__(self, name, FrozenList(getattr(self, name) or ()))

    @property
    def code_function(self) -> Callable[P, R]:
        """The function, as code digests read it."""
        return self.fn

    @property
    def __wrapped__(self) -> Callable[P, R]:
        """The function, for `inspect`."""
        return self.fn

    def named(self, name: str) -> RemoteCallable[P, R]:
        """Return the same with a name, unless it has one."""
        return self if self.name else replace(self, name=name)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Run the function with the current client, and wait for its end.

        Raises:
            Exception: what the function raised, where it ran in this program.
            StepFailedError: it failed elsewhere.

        """
        request = JobRequest(
            name=job_name(self.name) if self.name else new_job_name(self.fn),
            entrypoint=functools.partial(self.fn, *args, **kwargs),
            resources=self.resources,
            environment=JobEnvironment(
                self.env_vars, self.pip_dependency_groups, self.pip_packages
            ),
        )
        current_client().submit(request).wait(raise_on_failure=True)


@overload
def remote(
    fn: Callable[P, R],
    *,
    resources: ResourceConfig | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    name: str | None = None,
) -> RemoteCallable[P, R]: ...
@overload
def remote(
    *,
    resources: ResourceConfig | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    name: str | None = None,
) -> Callable[[Callable[P, R]], RemoteCallable[P, R]]: ...
def remote(
    fn: Callable[P, R] | None = None,
    *,
    resources: ResourceConfig | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    name: str | None = None,
) -> RemoteCallable[P, R] | Callable[[Callable[P, R]], RemoteCallable[P, R]]:
    """Have the current client run a function.

    Args:
        fn: the function; without it, a decorator is returned.
        resources: what it needs; default: `ResourceConfig.with_cpu()`.
        env_vars: environment variables where it runs.
        pip_dependency_groups, pip_packages: groups of dependencies, and packages, to install
            there.
        name: the job's name.

    """

    def decorate(fn: Callable[P, R]) -> RemoteCallable[P, R]:
        return RemoteCallable(
            fn,
            resources if resources is not None else ResourceConfig.with_cpu(),
            FrozenDict(env_vars or {}),
            pip_dependency_groups or (),
            pip_packages or (),
            name,
        )

    return decorate if fn is None else decorate(fn)


def new_job_name(of: object) -> str:
    """Return a name that no other job has.

    Args:
        of: the name of a step, or a function.

    """
    name = of if isinstance(of, str) else getattr(of, "__name__", "") or _NAMELESS
    return job_name(f"{name}-{os.urandom(4).hex()}")


def job_name(name: str) -> str:
    """Return a name in a form that engines accept: small letters, digits, `_`, `.` and `-`."""
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-.") or _NAMELESS


_NAMELESS = "remote_job"
"""The name of a job whose function has none."""
