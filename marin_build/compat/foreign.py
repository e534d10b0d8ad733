"""Marin itself, where it is installed: what it would run is offered to the pipeline being loaded.

Its modules are changed as little as needed, and only once the author's file imports them: its
StepRunner offers its steps, its Executor writes no records before, and classes of a program's own
file are recorded as Marin records them when Python runs it.
"""

from __future__ import annotations

import functools
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

from marin_build.compat.foreign_steps import ForeignSteps, resources_of_fray, step_of_object
from marin_build.pipeline.caught_run import is_catching, offer_steps, program_file
from marin_build.workspace.workspace import PREFIX_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from marin_build.pipeline.step_spec import StepSpec


_running: list[Any] = []
"""Marin's executors whose `run` is under way, the innermost last."""


def offer_what_it_runs(prefix: str) -> None:
    """Have what Marin would run offered to the pipeline that is being loaded.

    Args:
        prefix: where outputs live; Marin's steps take their paths from it.

    """
    os.environ[PREFIX_VARIABLE] = prefix
    for name, change in _CHANGES.items():
        if (module := sys.modules.get(name)) is not None:
            change(module)
    if not any(isinstance(finder, _MarinFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _MarinFinder())


def step_of(value: object) -> StepSpec | None:
    """Return the step that an object of Marin stands for; None if it is none."""
    return step_of_object(value)


def resources_of(value: Any) -> Any:
    """Return what fray's ResourceConfig asks for, as ours; any other value as it is."""
    return resources_of_fray(value).lowered_resources if hasattr(value, "device") else value


def _change_step_runner(module: ModuleType) -> None:
    kind: Any = getattr(module, "StepRunner", None)
    if not _is_theirs(kind):
        return
    run = kind.run

    @functools.wraps(run)
    def offering(self: Any, steps: Iterable[Any], *args: Any, **options: Any) -> Any:
        if is_catching():
            offer_steps(_lowered(steps, _running[-1] if _running else None))
        return run(self, steps, *args, **options)

    kind.run = offering


def _lowered(steps: Iterable[Any], executor: Any) -> Iterator[StepSpec]:
    """Yield our steps for those of a call; nothing is taken before the first one is asked for."""
    given = list(steps)
    lowered = ForeignSteps(given, executor)
    yield from [lowered.step(step) for step in given]


def _change_executor(module: ModuleType) -> None:
    kind: Any = getattr(module, "Executor", None)
    if not _is_theirs(kind):
        return
    run, write_infos = kind.run, kind.write_infos

    @functools.wraps(run)
    def noted(self: Any, *args: Any, **options: Any) -> Any:
        _running.append(self)
        try:
            return run(self, *args, **options)
        finally:
            _running.pop()

    @functools.wraps(write_infos)
    def writing(self: Any, *args: Any, **options: Any) -> Any:
        return None if is_catching() else write_infos(self, *args, **options)

    kind.run, kind.write_infos = noted, writing


_programs: set[str] = set()
"""The files that were loaded as programs: Python would have called their modules `__main__`."""


def _change_artifact(module: ModuleType) -> None:
    type_name: Any = getattr(module, "result_type_name", None)
    if not getattr(type_name, "__module__", "").startswith("marin.") or _is_changed(type_name):
        return

    @functools.wraps(type_name)
    def named(kind: type) -> Any:
        if (program := program_file()) is not None:
            _programs.add(program)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        return f"__main__.{kind.__qualname__}" if file in _programs else type_name(kind)

    module.result_type_name = named  # type: ignore[attr-defined]


def _is_theirs(kind: Any) -> bool:
    """Return whether a class is Marin's, and not changed yet."""
    is_marins = isinstance(kind, type) and kind.__module__.startswith("marin.")
    return is_marins and not _is_changed(getattr(kind, "run", None))


def _is_changed(function: Any) -> bool:
    return hasattr(function, "__wrapped__")


_CHANGES: dict[str, Callable[[ModuleType], None]] = {
    "marin.execution.step_runner": _change_step_runner,
    "marin.execution.executor": _change_executor,
    "marin.execution.artifact": _change_artifact,
}


class _MarinFinder(MetaPathFinder):
    """Finds these modules as others do, and changes them when they have run."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module of Marin's lies; None for all others."""
        if fullname not in _CHANGES:
            return None
        for finder in [one for one in sys.meta_path if one is not self]:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _ChangingLoader(spec.loader, _CHANGES[fullname])
                return spec
        return None


class _ChangingLoader(Loader):
    """Loads a module as another loader does, and changes it."""

    def __init__(self, loader: Any, change: Callable[[ModuleType], None]) -> None:
        self._loader, self._change = loader, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Make the module."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and change it."""
        self._loader.exec_module(module)
        self._change(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
