"""ExecutorStep -> StepSpec: the folder is Marin's, the attributes are the versioned values."""

from __future__ import annotations

import functools
import json
import os
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.config_walk import (
    InputNameEvent,
    upstream_steps,
    walk_config,
)
from marin_build.compat.executor.instantiate import (
    instantiate_config,
    largest_mirror_budget,
)
from marin_build.compat.executor.json_encoder import CustomJsonEncoder
from marin_build.compat.executor.lifting import original_step
from marin_build.compat.executor.records import json_value, step_info, write_step_info
from marin_build.compat.executor.values import lowers_steps
from marin_build.compat.executor.version import Versions
from marin_build.compat.remote import remote
from marin_build.errors import StoreError
from marin_build.identity.callables import Bound, StandsForFunction
from marin_build.pipeline.foreign_records import TellsRecord
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.remote import RemoteCallable
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from marin_build.compat.executor.records import ExecutorStepInfo
    from marin_build.compat.executor.values import ExecutorStep
    from marin_build.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class LoweredStep(StepSpec):
    """A step whose folder Marin's executor names.

    Args:
        digits: those of its folder, `{name}-{digits}`.
        executor_step: what it was lowered from.

    """

    digits: str = field(default="", kw_only=True)
    executor_step: ExecutorStep[Any] | None = field(default=None, kw_only=True, repr=False)

    @property
    def hash_id(self) -> str:
        """The digits of its version."""
        return self.digits

    @property
    def name_with_hash(self) -> str:
        """`{name}-{digits}`, as Marin's users know it."""
        return f"{self.name}-{self.digits}"

    @property
    def may_name_places(self) -> bool:
        """A version of Marin's may contain paths below the prefix."""
        return True

    def _look_around(self) -> None:
        """Look at nothing: what its function needs, it gets in its config."""


@dataclass(frozen=True, slots=True)
class ConfigCall(Bound, StandsForFunction, TellsRecord):
    """The function of a step, waiting for its output path, with a config that holds placeholders.

    Args:
        function: takes the config alone.
        config: with steps, places and versioned values in it.
        info: what Marin writes of the step; without a config.
        places: step in the config -> the step that stands for it, and its output path as Marin
            spells it, which may end in a slash.
        prefix: what paths without a step lie under; None: the prefix in force.

    """

    function: Callable[[Any], object]
    config: Any
    info: ExecutorStepInfo
    places: Mapping[ExecutorStep[Any], tuple[StepSpec, str]]
    prefix: str | None

    def __call__(self, output_path: str) -> object:
        """Call the function with the config in which paths stand for placeholders."""
        config = self.config_at(output_path)
        with suppress(StoreError):  # it is for Marin's data browser alone
            write_step_info(replace(self.info, config=config), output_path)
        with _mirror_budget(self.config):
            return self.function(config)

    def config_at(self, output_path: str) -> Any:
        """Return the config as the function gets it, where outputs are read in this run."""
        paths = {
            step: _spelled(spec.output_path, spelling)
            for step, (spec, spelling) in self.places.items()
        }
        prefix = self.prefix if self.prefix is not None else current_workspace().prefix
        own = _spelled(output_path, self.info.output_path)
        return instantiate_config(self.config, own, paths, prefix)

    @property
    def recorded_config(self) -> Any:
        """The config as the function gets it, as a JSON value."""
        own = absolute_prefix(self.info.output_path, os.getcwd())
        return json_value(self.config_at(own))

    @property
    def recorded_version(self) -> Mapping[str, Any]:
        """The version that names the step's folder."""
        version: Mapping[str, Any] = json_value(self.info.version)
        return version

    def bound(self) -> Mapping[str, object]:
        """Return path in the config -> the step whose output it names, and whether it waits."""
        return {
            event.prefix: spec if place.block_on_step else {"nonblocking": spec}
            for event in walk_config(self.config)
            if isinstance(event, InputNameEvent)
            for place in (event.input_name,)
            if place.step is not None
            for spec, _ in (self.places[place.step],)
        }

    @property
    def code_function(self) -> Callable[[Any], object]:
        """The function, as code digests read it."""
        return self.function

    @property
    def __wrapped__(self) -> Callable[[Any], object]:
        """The function, for `inspect`."""
        return self.function


class RemoteConfigCall(RemoteCallable[[str], object], Bound):
    """The same on resources of its own; `fn` is a ConfigCall."""

    __slots__ = ()

    def bound(self) -> Mapping[str, object]:
        """Return what the ConfigCall says."""
        return self.fn.bound() if isinstance(self.fn, ConfigCall) else {}


class Lowering:
    """Lowers steps whose versions are known; each step to one StepSpec.

    Args:
        known: the versions.

    """

    def __init__(self, known: Versions) -> None:
        self._known = known
        self._specs: dict[ExecutorStep[Any], StepSpec] = {}

    def lower(self, step: ExecutorStep[Any]) -> StepSpec:
        """Return the step that a step whose version is known stands for."""
        known = self._known
        pending = [known.same(step)]
        while pending:
            current = pending[-1]
            if current in self._specs:
                pending.pop()
                continue
            needed = (*known.dependencies[current], *known.pseudo_dependencies[current])
            if missing := [dep for dep in needed if dep not in self._specs]:
                pending.extend(missing)
                continue
            self._specs[current] = self._lowered(current)
        return self._specs[known.same(step)]

    def _lowered(self, step: ExecutorStep[Any]) -> StepSpec:
        known = self._known
        deps = [self._specs[dep] for dep in dict.fromkeys(known.dependencies[step])]
        if (original := original_step(step)) is not None:
            return with_deps(original, deps)
        prefix = absolute_prefix(known.prefix, os.getcwd())
        own_prefix = None if prefix == current_workspace(step.declared[0]).prefix else prefix
        remote = remote_of(step)
        call: Callable[[str], object] | None = None
        if step.fn is not None:
            call = ConfigCall(
                remote.fn if remote is not None else step.fn,
                step.config,
                step_info(known, step),
                {
                    dep: (self._specs[known.same(dep)], known.output_paths[dep])
                    for dep in upstream_steps(step.config)
                },
                own_prefix,
            )
        if remote is not None and call is not None:
            given = {each.name: getattr(remote, each.name) for each in fields(remote)}
            call = RemoteConfigCall(**{**given, "fn": call})
        is_elsewhere = not known.is_computed_path(step)
        return LoweredStep(
            step.name,
            own_prefix,
            deps,
            versioned_attributes(known.versions[step]["config"]),
            step.override_output_path if is_elsewhere else None,
            fn=call,
            resources=step.resources,
            env_vars=step.env_vars or {},
            outputs=(),  # Marin asks for none, and steps may write elsewhere
            resumable=True,  # no run of Marin's clears an output: training goes on from its state
            description=step.description or "",
            code="report",  # its folder's name knows nothing of code
            declared=step.declared,
            digits=known.hashed_versions[step],
            executor_step=step,
        )


def remote_of(step: ExecutorStep[Any]) -> RemoteCallable[..., Any] | None:
    """Return the function of a step with what it runs on; None if it runs in this program.

    The step's own resources, variables and groups go before those of `@remote`.
    """
    fn = step.fn
    if not isinstance(fn, RemoteCallable):
        if fn is None or step.resources is None:
            return None
        fn = remote(fn, resources=step.resources)  # with the groups that its device needs
    return replace(
        fn,
        resources=step.resources if step.resources is not None else fn.resources,
        env_vars={**fn.env_vars, **(step.env_vars or {})},
        pip_dependency_groups=tuple(step.pip_dependency_groups or fn.pip_dependency_groups),
    )


def with_deps(original: StepSpec, deps: Sequence[StepSpec]) -> StepSpec:
    """Return a StepSpec that came as an ExecutorStep, with what its dependencies are now.

    It stays itself if they are what it declares. Else it keeps its output path.
    """
    now, declared = (dict.fromkeys(dep.target_id for dep in each) for each in (deps, original.deps))
    if [*now] == [*declared]:
        return original
    return replace(original, deps=deps, override_output_path=original.output_path)


def versioned_attributes(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Return versioned values in the form in which Marin hashes them, as plain JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(leaves, cls=CustomJsonEncoder))
    return values


def _spelled(path: str, spelling: str) -> str:
    """Return a path as Marin spells it: with a slash at its end where its author wrote one."""
    return f"{path}/" if spelling.endswith("/") else path


def _mirror_budget(config: Any) -> AbstractContextManager[object]:
    """Allow what the config says Marin's mirror file system may copy, where that is installed."""
    budget = largest_mirror_budget(config)
    allow = getattr(sys.modules.get("rigging.filesystem"), "mirror_budget", None)
    if budget is None or allow is None:
        return nullcontext()
    allowed: AbstractContextManager[object] = allow(budget)
    return allowed


@lowers_steps
def lowered_in_force(step: ExecutorStep[Any]) -> StepSpec:
    """Return the step that a step stands for under the prefix in force, always the same one."""
    known, lowering = _lowering_of(current_workspace(step.declared[0]))
    known.add(step)
    return lowering.lower(step)


@functools.lru_cache(maxsize=1)  # one workspace is in force at a time
def _lowering_of(workspace: Workspace) -> tuple[Versions, Lowering]:
    known = Versions(workspace.prefix)
    return known, Lowering(known)
