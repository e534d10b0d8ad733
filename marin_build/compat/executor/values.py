"""What an author writes into a config: steps, places in their outputs, and versioned values."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from marin_build.compat.executor.errors import IllegalValueError
from marin_build.pipeline.declared_at import declaring_place
from marin_build.pipeline.stands_for import StandsForStep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.pipeline.step_spec import StepSpec

ConfigT_co = TypeVar("ConfigT_co", covariant=True)
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class ExecutorStep(StandsForStep, Generic[ConfigT_co]):
    """A step as Marin's executor knows it: a function of a config.

    Its identity is its name and what is versioned in its config (see version.py). Hashable, each
    object for itself.

    Args:
        name: the step's name; its folder is `{name}-{6 digits}`.
        fn: a function of the config, or a RemoteCallable around one.
        config: usually a dataclass. Steps in it are what this one needs.
        description: for people.
        override_output_path: the output path in place of the computed one; a relative path lies
            under the prefix.
        resources: what it runs on, whatever `fn` says.
        pip_dependency_groups: groups of dependencies to install where it runs.
        env_vars: environment variables where it runs.

    """

    name: str
    fn: Callable[[Any], Any] | None
    config: ConfigT_co
    description: str | None = None
    override_output_path: str | os.PathLike[str] | None = None
    resources: Any = None
    pip_dependency_groups: Sequence[str] | None = None
    env_vars: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_declared", declaring_place())  # no field: it is not compared

    def __hash__(self) -> int:
        return id(self)

    @property
    def declared(self) -> tuple[str, int]:
        """The file and the line where it was declared."""
        place: tuple[str, int] = self.__dict__["_declared"]
        return place

    @property
    def lowered_step(self) -> StepSpec:
        """The step of marin-build that it stands for, under the prefix in force."""
        return _lower[0](self)

    def cd(self, name: str) -> InputName:
        """Return the place `name` in its output."""
        return InputName(self, name)

    def __truediv__(self, other: str) -> InputName:
        return InputName(self, other)

    def with_output_path(self, output_path: str) -> ExecutorStep[ConfigT_co]:
        """Return a copy with another output path."""
        copy = replace(self, override_output_path=output_path)
        object.__setattr__(copy, "_declared", self.declared)
        return copy

    def as_input_name(self) -> InputName:
        """Return the place of its output."""
        return InputName(self, None)


_lower: list[Callable[[ExecutorStep[Any]], StepSpec]] = []


def lowers_steps(
    lower: Callable[[ExecutorStep[Any]], StepSpec],
) -> Callable[[ExecutorStep[Any]], StepSpec]:
    """Have a function return the StepSpec of an ExecutorStep: lowering.py knows this module."""
    _lower[:] = [lower]
    return lower


@dataclass(frozen=True)
class InputName:
    """A place in the output of a step; without a step, a path below the prefix.

    Args:
        step: the step.
        name: the path in its output; None: the output itself.
        block_on_step: whether the step that reads it waits for the other one. If not, the other
            one still counts in its identity.

    """

    step: ExecutorStep[Any] | None
    name: str | None
    block_on_step: bool = True

    def cd(self, name: str) -> InputName:
        """Return the place `name` below this one; what does not wait for the step waits again."""
        return InputName(self.step, os.path.join(self.name, name) if self.name else name)

    def __truediv__(self, other: str) -> InputName:
        return self.cd(other)

    @staticmethod
    def hardcoded(path: str) -> InputName:
        """Return a path that no step makes; a relative one lies under the prefix."""
        return InputName(None, path)

    def nonblocking(self) -> InputName:
        """Return the same place for a step that does not wait for it."""
        return replace(self, block_on_step=False)


if TYPE_CHECKING:

    class OutputName(str):  # noqa: SLOT000 - for type checkers alone
        """For type checkers a text, so that fields of configs can be annotated as `str`."""

        name: str | None

else:

    @dataclass(frozen=True)
    class OutputName:
        """A place in the output of the step whose config holds it; None: the output itself."""

        name: str | None


@dataclass(frozen=True)
class VersionedValue(Generic[T_co]):
    """A value that is part of the identity of the step whose config holds it."""

    value: T_co


@dataclass(frozen=True)
class MirroredValue(Generic[T_co]):
    """A path that Marin's mirror file system copies from the region that has it.

    Args:
        value: the path.
        budget_gb: how much may be copied.

    """

    value: T_co
    budget_gb: float = 10


THIS_OUTPUT_PATH = OutputName(None)
"""The output of the step whose config holds it."""


def this_output_path(name: str | None = None) -> OutputName:
    """Return a place in the output of the step whose config will hold it."""
    return OutputName(name)


def output_path_of(step: ExecutorStep[Any], name: str | None = None) -> InputName:
    """Return a place in the output of a step."""
    return InputName(step, name)


def get_executor_step(run: ExecutorStep[Any] | InputName) -> ExecutorStep[Any]:
    """Return a step, or the one whose output a place lies in.

    Raises:
        ValueError: no step makes the place, or the value is neither of them.

    """
    match run:
        case ExecutorStep():
            return run
        case InputName(step=ExecutorStep() as step):
            return step
        case InputName(name=name):
            raise IllegalValueError(f"no step of the pipeline makes the path `{name}`")
    raise IllegalValueError(f"a {type(run).__name__} is neither a step nor a place in its output")


def versioned(value: T) -> VersionedValue[T]:
    """Have a value of a config count as part of its step's identity.

    Raises:
        ValueError: it is versioned already, or a place in the output of a step.

    """
    if isinstance(value, VersionedValue):
        raise IllegalValueError("a versioned value cannot nest in another one")
    if isinstance(value, InputName):
        raise IllegalValueError(
            "a place in the output of a step cannot be versioned: it counts anyway"
        )
    return VersionedValue(value)


def ensure_versioned(value: Any) -> VersionedValue[Any]:
    """Return a versioned value as it is, and any other value versioned."""
    return value if isinstance(value, VersionedValue) else VersionedValue(value)


def mirrored(value: Any, budget_gb: float = 10) -> MirroredValue[Any]:
    """Have Marin's mirror file system find a path in whichever region has it.

    Raises:
        ValueError: it is mirrored already.

    """
    if isinstance(value, MirroredValue):
        raise IllegalValueError("a mirrored value cannot nest in another one")
    return MirroredValue(value, budget_gb)
