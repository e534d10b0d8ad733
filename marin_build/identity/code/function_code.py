"""What reading code gives: a piece of code and all it reaches, under one digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    import types
    from typing import Protocol

    from marin_build.identity.code.part import Part

    class CodeReader(Protocol):
        """Reads the code of functions and classes; see `closure.Reader`."""

        def of_function(self, function: types.FunctionType) -> FunctionCode:
            """Return the code of a function, with all it reaches."""

        def of_class(self, file: str, module: str, name: str) -> Closure | None:
            """Return the code of a class; None if the source of its module does not define it."""


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """A part and all it reaches. Equal digests: equal code, wherever its modules lie."""

    digest: str
    parts: tuple[tuple[Part, tuple[str, ...]], ...]
    """Each part with the names that lead to it from the first one, both ends included."""
    unseen: tuple[str, ...]
    external: tuple[str, ...]
    """First names of the modules it uses that belong neither to the project nor to Python."""


class FunctionCode(NamedTuple):
    """The code of a function, and what it says of the names that the function reads.

    Args:
        short: the last part of its name.
        closure: its code and all that this reaches.
        has_source: whether it was read from source; else from bytecode.
        free: the dotted names in it that belong to a function around it.

    """

    short: str
    closure: Closure
    has_source: bool
    free: tuple[tuple[str, ...], ...]
