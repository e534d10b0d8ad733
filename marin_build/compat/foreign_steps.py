"""Steps of Marin itself, lowered onto ours: they are known by the names that they have.

Where Marin computes a path, that path is taken, so that what it built is found.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.fray.devices import CpuConfig, GpuConfig, TpuConfig
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.errors import SpecificationError
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.remote import RemoteCallable
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable


class ForeignSteps:
    """Lowers StepSpecs of Marin, each once.

    Args:
        executor: the Executor that made them of its own steps; None: the author made them.

    """

    def __init__(self, executor: Any = None) -> None:
        self._known: dict[int, tuple[Any, StepSpec]] = {}  # keeps theirs alive, for their numbers
        self._versions: dict[str, Any] = {}
        if executor is not None:
            paths = executor.output_paths
            self._versions = {paths[step]: version for step, version in executor.versions.items()}

    def step(self, theirs: Any) -> StepSpec:
        """Return our step for one of theirs; its needs are lowered, too.

        Raises:
            SpecificationError: it is no step, or one that we cannot run.

        """
        if isinstance(theirs, StepSpec):
            return theirs
        if not _is_step_spec(theirs):
            raise SpecificationError(
                f"Marin's StepRunner was given {type(theirs).__name__}, not a step",
                consequence="nothing was run",
            )
        for each in dependencies_first([theirs], lambda one: id(one) in self._known):
            self._known[id(each)] = each, self._lowered(each)
        return self._known[id(theirs)][1]

    def _lowered(self, theirs: Any) -> StepSpec:
        version = self._versions.get(theirs.output_path)
        resources = _resources_of(theirs)
        step = StepSpec(
            name=theirs.name,
            output_path_prefix=theirs.output_path_prefix,
            deps=[self._known[id(dep)][1] for dep in theirs.deps],
            hash_attrs=theirs.hash_attrs if version is None else version["config"],
            override_output_path=theirs.override_output_path,
            fn=_function_of(theirs.fn),
            fingerprint_payload=getattr(theirs, "fingerprint_payload", None),
            writes_record=getattr(theirs, "writes_record", False),
            version=_version_of(theirs),
            outputs=(),  # Marin asks for none
            resources=resources.lowered_resources if resources is not None else None,
            declared=_place_of(theirs.fn),
        )
        if step.output_path != theirs.output_path:
            return replace(step, override_output_path=theirs.output_path)
        return step


def _version_of(theirs: Any) -> str | None:
    """Return the version of an artifact that Marin lowered to a step; None for other steps."""
    if not getattr(theirs, "fingerprint_payload", None):
        return None
    version: str | None = theirs.hash_attrs.get("version")
    return version


def steps_of_object(value: Any) -> StepSpec | None:
    """Return the step that an object of Marin stands for; None if it is none."""
    if _is_step_spec(value):
        return ForeignSteps().step(value)
    if _has(value, "name", "version", "artifact_type", "build_config", "lower"):
        return ForeignSteps().step(value.lower())
    if _has(value, "name", "fn", "config", "override_output_path", "with_output_path"):
        return _step_of_executor_step(value)
    return None


def _step_of_executor_step(value: Any) -> StepSpec:
    """Have Marin's Executor compute the version and the path of a step, and lower that."""
    from importlib import import_module

    prefix = current_workspace().prefix
    theirs: Any = import_module("marin.execution.executor")
    executor = theirs.Executor(prefix=prefix, executor_info_base_path=f"{prefix}/experiments")
    executor.compute_version(value, is_pseudo_dep=False)
    steps = [step for step in executor.steps if not executor.is_pseudo_dep[step]]
    path = executor.output_paths[value]
    lowered = ForeignSteps(executor)
    resolved = executor._resolve_steps(steps)  # noqa: SLF001 - what its `run` does
    return next(lowered.step(step) for step in resolved if step.output_path == path)


def _is_step_spec(value: Any) -> bool:
    return _has(value, "name", "deps", "hash_attrs", "fn", "name_with_hash", "output_path_prefix")


def _has(value: Any, *names: str) -> bool:
    """Return whether an object of Marin has attributes; they are not computed."""
    known = {*dir(type(value)), *getattr(value, "__dict__", ())}
    return not isinstance(value, type) and known.issuperset(names)


@dataclass(frozen=True, slots=True)
class RunOfMarin(StandsForFunction):
    """A function of one of Marin's steps, and what it returns saved where Marin looks for it.

    Args:
        fn: the function of the output path.
        code: the author's function, whose code counts.

    """

    fn: Callable[[str], object]
    code: object

    @property
    def function(self) -> object:
        """The same, for records that name it."""
        return self.code

    @property
    def code_function(self) -> object:
        """The author's function."""
        return self.code

    def __call__(self, output_path: str) -> object:
        """Run the function; save what it returned as Marin of its era does."""
        returned = self.fn(output_path)
        if returned is None:
            return None
        artifact = getattr(sys.modules.get("marin.execution.artifact"), "Artifact", None)
        if (save := getattr(artifact, "save", None)) is not None:  # later ones read our record
            save(returned, output_path)
        return returned


def _function_of(fn: Any) -> Any:
    """Return our function for one of theirs; one that runs remotely still does."""
    if fn is None:
        return None
    if _is_remote(fn):
        return RemoteCallable(
            _function_of(fn.fn),
            _resources(fn.resources).lowered_resources,
            dict(fn.env_vars),
            tuple(fn.pip_dependency_groups or ()),
            fn.name,
        )
    return RunOfMarin(fn, _author_function(fn))


def _author_function(fn: Any) -> Any:
    """Return the function of an ExecutorStep inside the one that Marin made of its config."""
    cells = dict(zip(_names_of(fn), getattr(fn, "__closure__", None) or (), strict=False))
    inner = cells.get("captured_fn")
    is_marins = getattr(fn, "__module__", "").partition(".")[0] == "marin"
    return inner.cell_contents if is_marins and inner is not None else fn


def _names_of(fn: Any) -> tuple[str, ...]:
    names: tuple[str, ...] = getattr(getattr(fn, "__code__", None), "co_freevars", ())
    return names


def _place_of(fn: Any) -> tuple[str, int]:
    """Return where the author wrote a step's function."""
    inner = _author_function(fn.fn if _is_remote(fn) else fn)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)


def _is_remote(fn: Any) -> bool:
    return is_dataclass(fn) and _has(fn, "fn", "resources", "env_vars", "pip_dependency_groups")


def _resources_of(theirs: Any) -> ResourceConfig | None:
    given = getattr(theirs, "resources", None)
    return None if given is None else _resources(given)


def _resources(given: Any) -> ResourceConfig:
    """Return our ResourceConfig with the fields of fray's; what ours lacks changes no step."""
    ours = {each.name for each in fields(ResourceConfig)} - {"device"}
    values = {name: getattr(given, name) for name in ours if hasattr(given, name)}
    return ResourceConfig(device=_device(given.device), **values)


def _device(given: Any) -> CpuConfig | GpuConfig | TpuConfig:
    match given.kind:
        case "gpu":
            return GpuConfig(given.variant, count=given.count)
        case "tpu":
            return TpuConfig(given.variant, topology=given.topology)
        case "cpu":
            return CpuConfig(variant=given.variant)
    raise SpecificationError(
        f"a step of Marin asks for a device of the kind `{given.kind}`",
        consequence="nothing was run",
        hint="there are cpu, gpu and tpu",
    )
