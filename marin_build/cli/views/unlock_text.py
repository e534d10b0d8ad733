"""The result of `unlock`, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.text.readable import printable

if TYPE_CHECKING:
    from marin_build.operations.marks.unlock import UnlockedTarget


def unlocked_text(done: UnlockedTarget) -> str:
    """Return who held the target, or that it is not locked."""
    if done.lease is None:
        return f"`{done.target}` is not locked"
    killed = "".join(f"killed    {printable(str(process))}\n" for process in done.killed)
    return f"{killed}unlocked `{done.target}`: it was held by {done.lease.describe()}"
