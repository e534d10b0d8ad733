"""Built outputs from which something is to be built: whether they hold what their builds left.

Only those are looked at: a plan with nothing to do lists nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.observe.verify_outputs import Verdict, verify
from marin_build.plan.snapshot import Snapshot
from marin_build.protocol.manifest import manifest_of, missing_output, shortened
from marin_build.protocol.status import STATUS_SUCCESS
from marin_build.store.open_store import open_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from marin_build.observe.verify_outputs import Verified
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.snapshot import Observed
    from marin_build.store.base import File, Store


def feeding(
    targets: Targets,
    seen: Mapping[int, Observed],
    wanted: Iterable[int],
    cascade: AbstractSet[int],
    known: Collection[int],
) -> list[int]:
    """Return the built targets from which something is to be built.

    Args:
        targets: the pipeline's targets.
        seen: what was seen of them.
        wanted: the targets that a plan looks at.
        cascade: targets built whatever their status.
        known: what is not asked for.

    """
    readers = [
        index
        for index in wanted
        if index in cascade
        or (seen[index].is_open and (seen[index].lease is None or seen[index].gone))
    ]
    deps = {dep for index in readers for dep in targets.deps[index]}
    return sorted(
        dep for dep in deps.difference(known, cascade) if dep in seen and _is_compared(seen[dep])
    )


def _is_compared(it: Observed) -> bool:
    """Return whether it is built; a run that reads adopted data compares that when it begins."""
    is_adopted = it.built is not None and it.built.adopted_from is not None
    return it.status == STATUS_SUCCESS and it.is_built and not is_adopted


def read_losses(
    store: Store, targets: Targets, seen: dict[int, Observed], indices: Iterable[int]
) -> dict[int, tuple[File, ...] | None]:
    """Compare built outputs with what their builds left; what differs joins what was seen.

    Names and sizes are compared: one request for the attempts, and one listing an output.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        seen: what was seen of them, with their records.
        indices: which targets.

    Returns:
        The files that each was left with, as its attempt committed them; None: that is not known.

    Raises:
        StoreError: the store cannot be read.

    """
    found = verify(store, targets, Snapshot(seen), indices, open_store, any_identity=True)
    manifests: dict[int, tuple[File, ...] | None] = {}
    for one in found:
        lost, altered = _judged(store, targets, seen[one.index], one)
        manifests[one.index] = one.manifest
        if lost or altered:
            seen[one.index] = replace(
                seen[one.index], lost=tuple(shortened(lost)), altered=tuple(shortened(altered))
            )
    return manifests


def _judged(
    store: Store, targets: Targets, seen: Observed, one: Verified
) -> tuple[list[str], list[str]]:
    """Return what is gone of an output, and what else is not as its build left it, in words."""
    target = targets.all[one.index]
    is_ours = seen.built is not None and seen.built.attempt > 0
    if one.verdict is Verdict.UNKNOWN and not is_ours and target.step.outputs:
        # Marin keeps no manifest; what the step declares must be there all the same.
        missing = missing_output(target.step.outputs, manifest_of(store, target.output_path), None)
        return ([missing] if missing else []), []
    if one.verdict is not Verdict.DIFFERS:
        return [], []
    if one.is_lost:
        return one.changes.words or [one.note], []
    # Other programs may add to a path that the author chose.
    may_grow = target.step.override_output_path is not None
    changes = replace(one.changes, added=()) if may_grow else one.changes
    return [], [*changes.words, *([one.note] if one.note else [])]
