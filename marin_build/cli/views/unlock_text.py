"""The result of `unlock`, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.operations.unlock import UnlockedTarget


def unlocked_text(done: UnlockedTarget) -> str:
    """Return who held the target, or that it is not locked."""
    if done.lease is None:
        return f"`{done.target}` is not locked"
    return f"unlocked `{done.target}`: it was held by {done.lease.describe()}"
