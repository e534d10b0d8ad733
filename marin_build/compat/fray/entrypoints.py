"""What a job of fray runs: a call of a function, or a command line."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from marin_build.errors import SpecificationError
from marin_build.runtime.job_request import StandsForWork

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.runtime.job_request import Work


@dataclass(frozen=True)
class CallableEntrypoint:
    """A function and its arguments."""

    callable: Callable[..., Any]
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BinaryEntrypoint:
    """A program and its arguments."""

    command: str
    args: Sequence[str]


@dataclass(frozen=True)
class Entrypoint(StandsForWork):
    """One of both; `from_callable` and `from_binary` make it."""

    callable_entrypoint: CallableEntrypoint | None = None
    binary_entrypoint: BinaryEntrypoint | None = None

    @classmethod
    def from_callable(
        cls,
        c: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the call of a function."""
        return cls(callable_entrypoint=CallableEntrypoint(c, args, kwargs or {}))

    @classmethod
    def from_binary(cls, command: str, args: Sequence[str]) -> Self:
        """Return a command line."""
        return cls(binary_entrypoint=BinaryEntrypoint(command, args))

    @property
    def lowered_work(self) -> Work:
        """A function without arguments, or the words of the command line.

        Raises:
            SpecificationError: it is neither.

        """
        if (call := self.callable_entrypoint) is not None:
            return functools.partial(call.callable, *call.args, **call.kwargs)
        if (program := self.binary_entrypoint) is not None:
            return (program.command, *program.args)
        raise SpecificationError(
            "the entrypoint of a job is neither a function nor a command",
            hint="use Entrypoint.from_callable or Entrypoint.from_binary",
        )
