"""A piece of code, normalised: a function, a class or a constant, with what its names stand for."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Literal

from marin_build.identity.code.syntax import deeply
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from marin_build.identity.code.modules import Module
    from marin_build.identity.code.references import Chain
    from marin_build.identity.code.resolve import Found

Kind = Literal["function", "class", "constant"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A function, class or constant, normalised. `edges` are what its names stand for, in order."""

    name: str
    kind: Kind
    digest: str
    nodes: tuple[ast.AST, ...]
    edges: tuple[tuple[Found, ...], ...] = ()
    free: tuple[Chain, ...] = ()
    unseen: tuple[str, ...] = ()
    module: Module | None = None
    """Where it stands; None if its source is not known."""
    looked: frozenset[tuple[Module, str]] = frozenset()
    """The names that were looked up to find what it reaches, with the modules that bind them."""

    @property
    def short(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]

    @property
    def source(self) -> str:
        """The normalised source."""
        return deeply(lambda: "\n".join(_unparsed(node) for node in self.nodes))


def _unparsed(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node))
