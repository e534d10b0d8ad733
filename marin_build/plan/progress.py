"""What a run has done before it goes on with a further plan: ids of targets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.targets import Targets


@dataclass(frozen=True, slots=True)
class Progress:
    """The targets that a run is done with.

    Args:
        built: it built them, or found them built: they are not built twice in one run.
        rebuilt: those of them that were built although they were built already, for they were
            forced, tainted or of a dev version, or needed such a one: what needs them is, too.
        failed: they are not tried again in this run.

    """

    built: frozenset[str] = frozenset()
    rebuilt: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()

    @staticmethod
    def indices(targets: Targets, ids: AbstractSet[str]) -> frozenset[int]:
        """Return the indices of targets; those that the pipeline has no more are left out."""
        return frozenset(targets.by_id[id_] for id_ in ids if id_ in targets.by_id)
