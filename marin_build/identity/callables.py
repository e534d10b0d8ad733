"""How values of marin-build count in code that is digested: as a function, or as a name.

Functions hold steps, sources, commands and decorated functions. `identity.code` asks them what
they stand for, so that it needs to know neither steps nor pipelines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class StandsForFunction:
    """A value of ours whose code is the code of the function it was made of."""

    __slots__ = ()

    @property
    def code_function(self) -> object:
        """The function."""
        raise NotImplementedError


class RunsElsewhere(StandsForFunction):
    """A function that a client runs elsewhere; where it runs is not part of its code."""

    __slots__ = ()


class CountsByName:
    """A value of marin-build with an identity of its own.

    It cannot be an attribute of a step. In the digest of code that holds it only its name counts.
    """

    __slots__ = ()

    @property
    def code_name(self) -> str:
        """The name that stands for this value in the digest of code that holds it."""
        raise NotImplementedError

    @property
    def exact_name(self) -> str:
        """A name that no two values of one pipeline share unless they are equal."""
        return self.code_name


class Bound:
    """What builds a step and knows which step or source each of its parameters stands for."""

    __slots__ = ()

    def bound(self) -> Mapping[str, object]:
        """Return parameter -> step, source or a container of them."""
        raise NotImplementedError

    @property
    def template(self) -> Mapping[str, Any] | None:
        """What a command runs, placeholders unresolved, by its one kind: it is identity.

        None: a function.
        """
        return None


def local_function(fn: Any) -> Any:
    """Return what is called where a step runs: a `remote` function without its client."""
    return fn.code_function if isinstance(fn, RunsElsewhere) else fn
