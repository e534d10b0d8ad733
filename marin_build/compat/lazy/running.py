"""run and resolve: build artifacts in this program, and load what they left."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from marin_build.compat.lazy.lowering import lower
from marin_build.runtime.step_runner import StepRunner

if TYPE_CHECKING:
    from marin_build.compat.artifact import Artifact
    from marin_build.compat.lazy.handle import Handle


T = TypeVar("T", bound="Artifact")
_AT_ONCE = 8


def run(
    *handles: Handle[T],
    max_concurrent: int = _AT_ONCE,
    dry_run: bool = False,
    force_run_failed: bool = True,
) -> list[T]:
    """Build artifacts, and all that they need, and return what they made, in the same order.

    Args:
        handles: the artifacts.
        max_concurrent: steps that run at once.
        dry_run: only log what would be built. Then nothing is loaded, and the list is empty.
        force_run_failed: try again what failed before.

    Raises:
        StepFailedError: `N step(s) failed`; a RuntimeError.
        FingerprintMismatchError: a pinned fingerprint is another one than the declared or the
            recorded one.
        SpecificationError: artifacts contradict each other.
        StoreError: the store cannot be read, or an artifact was recorded as another class.

    """
    StepRunner().run(
        [lower(handle) for handle in handles],
        dry_run=dry_run,
        force_run_failed=force_run_failed,
        max_concurrent=max_concurrent,
    )
    if dry_run:
        return []
    return [handle.artifact_type.raw_load(handle.path()) for handle in handles]


def resolve(handle: Handle[T], *, max_concurrent: int = _AT_ONCE) -> T:
    """Build one artifact and return what it made; see `run`, which builds several at once."""
    return run(handle, max_concurrent=max_concurrent)[0]
