"""Steps that a running program or a notebook declares, in place of a pipeline file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from marin_build.pipeline.locate import PipelineModule, module_of_file
from marin_build.pipeline.stands_for import StandsForLaterSteps
from marin_build.pipeline.step_spec import StepSpec

if TYPE_CHECKING:
    from collections.abc import Iterable


_NO_FILE = "<program>"
"""Stands for the file where there is none, in plans and runs of what a program declared."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a program offers, as a pipeline file would.

    Args:
        made: the program's own module, or one that holds a function or steps under the name that
            the loader looks for.
        project: the absolute folder of the project.

    """

    made: ModuleType
    project: str

    @property
    def has_file(self) -> bool:
        """Whether another process can load the same steps from a file."""
        is_file = self.made.__name__ not in (_NO_FILE, "__main__")
        return is_file and getattr(self.made, "__file__", None) is not None

    @property
    def module(self) -> PipelineModule:
        """Where it lies; without a file its name is one that no file has."""
        if self.has_file:
            return module_of_file(os.path.abspath(str(self.made.__file__)))
        return PipelineModule(os.path.join(self.project, _NO_FILE), _NO_FILE)


def module_holding(offered: Any) -> ModuleType:
    """Return a module that offers a function or steps; of a module, itself.

    Args:
        offered: a module, a function that returns steps, or steps in any nesting.

    """
    if isinstance(offered, ModuleType):
        return offered
    made: Any = ModuleType(_NO_FILE)
    if callable(offered) and not isinstance(offered, StepSpec | StandsForLaterSteps):
        made.pipeline = offered
    else:
        made.targets = offered
    module: ModuleType = made
    return module


def declaring_file(offered: Any) -> str | None:
    """Return the file that declares what a program offers, as code objects name it, if any does."""
    if isinstance(offered, ModuleType):
        return getattr(offered, "__file__", None)
    if isinstance(offered, StepSpec | StandsForLaterSteps):
        declared: tuple[str, int] = offered.declared
        return declared[0]
    code = getattr(offered, "__code__", None)
    if code is not None:
        return str(code.co_filename)
    values: Iterable[Any] = ()
    if isinstance(offered, dict):
        values = offered.values()
    elif isinstance(offered, list | tuple | set | frozenset):
        values = offered
    return next((file for one in values if (file := declaring_file(one)) is not None), None)
