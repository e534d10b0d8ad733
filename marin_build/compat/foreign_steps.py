"""Steps of Marin itself, lowered onto ours: they are known by the names that they have.

Where Marin computes a path, that path is taken, so that what it built is found.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.compat.executor.lowering import LoweredStep, versioned_attributes
from marin_build.compat.fray.devices import CpuConfig, GpuConfig, TpuConfig
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.errors import SpecificationError
from marin_build.identity.callables import StandsForFunction
from marin_build.pipeline.dependencies_first import dependencies_first
from marin_build.pipeline.runtime_calls import MARIN
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.remote import RemoteCallable
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ForeignSteps:
    """Lowers StepSpecs of Marin, each once; one output path is one step, as for Marin.

    Args:
        given: those that are to be run. Others at the same paths stand for them: Marin's Executor
            names what a step needs by stubs, which have a path and nothing that builds it.
        executor: the Executor that made them of its own steps; None: the author made them.

    Raises:
        SpecificationError: one is no step.

    """

    def __init__(self, given: Sequence[Any], executor: Any = None) -> None:
        for theirs in given:
            if not _is_step_spec(theirs):
                raise SpecificationError(
                    f"Marin's StepRunner was given {type(theirs).__name__}, not a step",
                    consequence="nothing was run",
                )
        self._given: dict[str, Any] = {theirs.output_path: theirs for theirs in given}
        self._known: dict[str, StepSpec] = {}
        self._versions: dict[str, tuple[Any, str]] = {}  # the config's part, and its digits
        if executor is not None:
            for step, version in executor.versions.items():
                of_step = (version["config"], executor.hashed_versions[step])
                if not hasattr(step, "_original_step_spec"):  # else it is a StepSpec itself
                    self._versions[executor.output_paths[step]] = of_step

    def step(self, theirs: Any) -> StepSpec:
        """Return our step for one of theirs; its needs are lowered, too.

        Raises:
            SpecificationError: it is one that we cannot run.

        """
        for node in dependencies_first([_Node(theirs, self._given)], self._is_known):
            self._known[node.path] = self._lowered(node.theirs)
        return self._known[theirs.output_path]

    def _is_known(self, node: _Node) -> bool:
        return node.path in self._known

    def _lowered(self, theirs: Any) -> StepSpec:
        resources = getattr(theirs, "resources", None)
        place = _place_of(theirs.fn)
        given = {
            "name": theirs.name,
            "deps": [self._known[dep.output_path] for dep in theirs.deps],
            "fn": _function_of(theirs.fn),
            "outputs": (),  # Marin asks for none
            "resumable": True,  # and clears none: training goes on from its checkpoints
            "resources": None
            if resources is None
            else resources_of_fray(resources).lowered_resources,
            **({} if place is None else {"declared": place}),
        }
        found = self._versions.get(theirs.output_path)
        step: StepSpec
        if found is not None:
            config, digits = found
            step = LoweredStep(**given, hash_attrs=versioned_attributes(config), digits=digits)
        else:
            step = StepSpec(
                **given,
                output_path_prefix=theirs.output_path_prefix,
                hash_attrs=theirs.hash_attrs,
                override_output_path=theirs.override_output_path,
                fingerprint_payload=getattr(theirs, "fingerprint_payload", None),
                writes_record=getattr(theirs, "writes_record", False),
                version=_version_of(theirs),
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


class _Node:
    """A step of Marin, with the steps that are meant by what it needs."""

    def __init__(self, theirs: Any, given: Mapping[str, Any]) -> None:
        self.path: str = theirs.output_path
        self.theirs = given.get(self.path, theirs)
        self._given = given

    @property
    def deps(self) -> list[_Node]:
        """What it needs."""
        return [_Node(dep, self._given) for dep in self.theirs.deps]


def step_of_object(value: Any) -> StepSpec | None:
    """Return the step that an object of Marin stands for; None if it is none."""
    if _is_step_spec(value):
        return ForeignSteps([value]).step(value)
    if _has(value, "name", "version", "artifact_type", "build_config", "lower"):
        lowered = value.lower()
        return ForeignSteps([lowered]).step(lowered)
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
    resolved = executor._resolve_steps(steps)  # noqa: SLF001 - what its `run` does
    lowered = ForeignSteps(resolved, executor)
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
            resources_of_fray(fn.resources).lowered_resources,
            dict(fn.env_vars),
            tuple(fn.pip_dependency_groups or ()),
            tuple(getattr(fn, "pip_packages", None) or ()),
            fn.name,
        )
    return RunOfMarin(fn, _author_function(fn))


def _author_function(fn: Any) -> Any:
    """Return the author's function inside the one that Marin made for an output path.

    For an ExecutorStep it is what that captured, for an ArtifactStep its `run`.
    """
    while (getattr(fn, "__module__", None) or "").partition(".")[0] == MARIN[0]:
        inner = _held_function(fn)
        if inner is None:
            break
        fn = inner
    return fn


def _held_function(fn: Any) -> Any:
    """Return the function that a function of Marin holds; None if it holds none."""
    if _is_remote(fn):
        return fn.fn
    names: tuple[str, ...] = getattr(getattr(fn, "__code__", None), "co_freevars", ())
    cells = dict(zip(names, getattr(fn, "__closure__", None) or (), strict=False))
    if (cell := cells.get("captured_fn")) is not None:
        return cell.cell_contents
    for default in getattr(fn, "__defaults__", None) or ():
        if _has(default, "run", "build_config", "artifact_type"):
            return default.run
        if callable(default):  # of `apply`, which calls it with keyword arguments
            return default
    return None


def _place_of(fn: Any) -> tuple[str, int] | None:
    """Return where the author wrote a step's function; None if that is not known."""
    inner = _author_function(fn.fn if _is_remote(fn) else fn)
    while isinstance(inner, functools.partial):
        inner = inner.func
    code = getattr(inner, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else None


def _is_remote(fn: Any) -> bool:
    return is_dataclass(fn) and _has(fn, "fn", "resources", "env_vars", "pip_dependency_groups")


def resources_of_fray(given: Any) -> ResourceConfig:
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
