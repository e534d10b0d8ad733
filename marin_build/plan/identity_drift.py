"""Identities that changed under the same version or output path: such targets are reused.

A path that contains the hash fixes the identity of its output. A path with a version and an
`override_output_path` do not: the pipeline may have changed since. A plan reports that. The record
of a target that was made from such an output keeps the identity in its deep fingerprint. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.plan.reasons import Change


_NAMED = 3
"""How many targets one line names; it counts the others."""


@dataclass(frozen=True, slots=True)
class OtherUpstream:
    """A dependency that had another identity when a target was made from it.

    Args:
        target: the id of the dependency.
        changes: how its identity changed since it was built; empty if it has been built anew.

    """

    target: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class IdentityDrift:
    """How the identity of an output differs from the declared one.

    Args:
        where: `under version v1`, `at its output path`; empty if only dependencies differ.
        recorded, declared: the fingerprints; the deep ones if only dependencies differ.
        changes: how the identity changed since the build, the author's own changes first.
        upstream: the dependencies that differ; empty if the target's own identity differs.

    """

    where: str
    recorded: str
    declared: str
    changes: tuple[Change, ...] = ()
    upstream: tuple[OtherUpstream, ...] = ()

    @property
    def text(self) -> str:
        """In words: `its identity changed under version v1: attrs.n 1 -> 2 and 1 more`."""
        if self.where:
            return f"its identity changed {self.where}{_told(self.changes)}"
        named = [f"{it.target}{_told(it.changes)}" for it in self.upstream[:_NAMED]]
        left = len(self.upstream) - len(named)
        more = f" and {left} more" if left else ""
        return f"built from another identity of {', '.join(named)}{more}"

    @property
    def facts(self) -> dict[str, Any]:
        """The drift as `--json` has it: JSON values."""
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
