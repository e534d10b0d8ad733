"""ExecutorStep -> StepSpec: a step with Marin's folder, whose attributes are its versioned values."""

from __future__ import annotations

import json
import math
import os
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.config_walk import upstream_steps
from marin_build.compat.executor.instantiate import (
    instantiate_config,
    largest_mirror_budget,
    under_prefix,
)
from marin_build.compat.executor.json_encoder import CustomJsonEncoder
from marin_build.compat.executor.version import Versions
from marin_build.compat.step_spec import original_step
from marin_build.identity.callables import StandsForFunction
from marin_build.identity.canonical import FrozenDict
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.remote import RemoteCallable
from marin_build.workspace.workspace import absolute_prefix, current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from marin_build.compat.executor.values import ExecutorStep
    from marin_build.workspace.workspace import Workspace

PSEUDO = "pseudo-dependencies"
"""The attribute that names the folders a step counts in its identity and does not wait for."""


@dataclass(frozen=True, slots=True, eq=False)
class LoweredStep(StepSpec):
    """A step whose folder Marin's executor names.

    Args:
        digits: those of its folder, `{name}-{digits}`.

    """

    digits: str = ""

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
class ConfigCall(StandsForFunction):
    """The function of a step, waiting for its output path, with a config that holds placeholders.

    Args:
        function: takes the config alone.
        config: with steps, places and versioned values in it.
        spelling: the step's output path as Marin spells it, which may end in a slash.
        places: step in the config -> the step that stands for it, and that spelling of its path.
        prefix: what paths without a step lie under; None: the prefix in force.

    """

    function: Callable[[Any], object]
    config: Any
    spelling: str
    places: Mapping[ExecutorStep[Any], tuple[StepSpec, str]]
    prefix: str | None

    def __call__(self, output_path: str) -> object:
        """Call the function with the config in which paths stand for placeholders."""
        config = self.config_at(output_path)
        with _mirror_budget(self.config):
            return self.function(config)

    def config_at(self, output_path: str) -> Any:
        """Return the config as the function gets it, where outputs are read in this run."""
        paths = {
            step: _spelled(spec.output_path, spelling)
            for step, (spec, spelling) in self.places.items()
        }
        prefix = self.prefix if self.prefix is not None else current_workspace().prefix
        own = _spelled(output_path, self.spelling)
        return instantiate_config(self.config, own, paths, prefix)

    @property
    def code_function(self) -> Callable[[Any], object]:
        """The function, as code digests read it."""
        return self.function

    @property
    def __wrapped__(self) -> Callable[[Any], object]:
        """The function, for `inspect`."""
        return self.function


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
            return _with_deps(original, deps)
        prefix = absolute_prefix(known.prefix, os.getcwd())
        own_prefix = None if prefix == current_workspace(step.declared[0]).prefix else prefix
        places = {
            dep: (self._specs[known.same(dep)], known.output_paths[dep])
            for dep in upstream_steps(step.config)
        }
        call = ConfigCall(
            local_function_of(step), step.config, known.output_paths[step], places, own_prefix
        ) if step.fn is not None else None
        return LoweredStep(
            step.name,
            own_prefix,
            deps,
            _attributes(known, step),
            _override(known, step),
            fn=_placed(step, call),
            resources=step.resources,
            env_vars=step.env_vars or {},
            outputs=(),
            resumable=True,
            description=step.description or "",
            code="report",
            declared=step.declared,
            digits=known.hashed_versions[step],
        )


_shared: tuple[Workspace, Versions, Lowering] | None = None


def lowered_in_force(step: ExecutorStep[Any]) -> StepSpec:
    """Return the step that a step stands for under the prefix in force, always the same one."""
    global _shared  # noqa: PLW0603 - what is in force is one for the process, too
    workspace = current_workspace(step.declared[0])
    if _shared is None or _shared[0] != workspace:
        known = Versions(workspace.prefix)
        _shared = (workspace, known, Lowering(known))
    _, known, lowering = _shared
    known.add(step)
    return lowering.lower(step)
