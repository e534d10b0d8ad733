"""Identities that changed under a version, or at an output path of its own: reused, and reported.

A path by hash pins what lies there. A version and an `override_output_path` do not: the pipeline
may have changed since. What was made from such a target pins it by its deep fingerprint only. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.reasons import Change


_NAMED = 3
"""Targets that one line names; it counts the others."""


@dataclass(frozen=True, slots=True)
class OtherUpstream:
    """What a target was made from, and is not what is declared.

    Args:
        target: its id.
        changes: of its identity, since it was built; empty where it is what is declared by now.

    """

    target: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class IdentityDrift:
    """How the identity of what is built differs from what is declared.

    Args:
        where: `under version v1`, `at its output path`; empty if only what it was made from
            differs.
        recorded, declared: the fingerprints; deep ones if only what it was made from differs.
        changes: since it was built, the author's own first.
        upstream: which of the targets it needs it was made from as they are not declared; empty
            where its own identity differs.

    """

    where: str
    recorded: str
    declared: str
    changes: tuple[Change, ...] = ()
    upstream: tuple[OtherUpstream, ...] = ()

    @property
    def text(self) -> str:
        """`its identity changed under version v1: attrs.n 1 -> 2 and 1 more`."""
        if self.where:
            return f"its identity changed {self.where}{_told(self.changes)}"
        named = [f"{it.target}{_told(it.changes)}" for it in self.upstream[:_NAMED]]
        left = len(self.upstream) - len(named)
        more = f" and {left} more" if left else ""
        return f"built from another identity of {', '.join(named)}{more}"

    @property
    def facts(self) -> dict[str, Any]:
        """What `--json` says of it."""
        prints = {"recorded": self.recorded, "declared": self.declared}
        if self.where:
            return {"kind": "identity", **prints, "changes": _facts(self.changes)}
        above = [{"name": it.target, "changes": _facts(it.changes)} for it in self.upstream]
        return {"kind": "upstream_identity", **prints, "upstream": above}


def _told(changes: Sequence[Change]) -> str:
    if not changes:
        return ""
    first = changes[0]
    because = f": {first.because}" if first.because else ""
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f": {first.text}{because}{more}"


def _facts(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"path": it.path, "old": it.old, "new": it.new}
        | ({"because": it.because} if it.because else {})
        for it in changes
    ]
