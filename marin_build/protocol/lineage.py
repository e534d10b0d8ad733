"""What is known of an output in the lineage of another one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.protocol.attempt_reader import Committed
    from marin_build.protocol.recipe_reader import Recipe
    from marin_build.protocol.record_reader import Built


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An output in the lineage of another one.

    Args:
        target: its id, or its path where an older record of Marin names no id.
        path: the output path.
        built: what its record says; None if none of ours is readable.
        recipe: what made it, and from what; None if no readable record says.
        committed: what its attempt committed; None if that is not known.

    """

    target: str
    path: str
    built: Built | None
    recipe: Recipe | None
    committed: Committed | None

    @property
    def data(self) -> str:
        """Where its data lies: adopted data may lie elsewhere than the record."""
        return (self.built.adopted_from if self.built is not None else None) or self.path
