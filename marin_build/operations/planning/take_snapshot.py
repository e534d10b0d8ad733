"""What the store holds of a pipeline, the marks of tainted targets included."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.observe.read_snapshot import doubt_of, list_tainted, observe
from marin_build.plan.assumptions import NOTHING_ASSUMED
from marin_build.plan.decide import cascade_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.block_reasons import Unreadable
    from marin_build.plan.snapshot import Snapshot
    from marin_build.protocol.taints import Taint


_NOTHING: Mapping[int, str | None] = MappingProxyType({})


def observe_tainted(
    loaded: Loaded,
    requested: Sequence[int],
    forced: frozenset[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
    compared: Sequence[int] = (),
    overwrite: Mapping[int, str | None] = _NOTHING,
) -> Snapshot:
    """Read what planning needs, the marks of tainted targets included.

    Marks decide how far down the graph is read, but they are rare. So a remote store lists them
    while the snapshot is read as if there were none; if there are some, it is read again.
    `compared`: built targets whose data is compared, even if nothing is built from them.
    `overwrite`: targets whose foreign data may be deleted -> its listing; None: whatever is there.
    """
    store, targets = loaded.store, loaded.targets
    cascade = cascade_of(targets, requested, forced, assumed)

    def read(cascade: AbstractSet[int]) -> Snapshot:
        return observe_for(
            loaded,
            requested,
            cascade,
            history=history,
            assumed=assumed,
            compared=compared,
            overwrite=overwrite,
        )

    if store.is_local:
        marked, snapshot = list_tainted(store, targets), None
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1) as pool:
            listing = pool.submit(list_tainted, store, targets)
            snapshot = read(cascade)
            marked = listing.result()
    tainted: Mapping[int, Taint] = {}
    damaged: dict[int, Unreadable] = {}
    if marked:
        from marin_build.observe.read_taints import read_taints

        tainted = read_taints(store, targets, marked, damaged=damaged.__setitem__)
    known, cascade = cascade, cascade_of(targets, requested, forced | tainted.keys(), assumed)
    if snapshot is None or cascade != known:
        snapshot = read(cascade)
    if damaged:
        from marin_build.observe.read_taints import with_damaged_marks

        snapshot = with_damaged_marks(targets, snapshot, requested, damaged)
    return replace(snapshot, tainted=tainted)


def observe_for(
    loaded: Loaded,
    requested: Sequence[int],
    cascade: AbstractSet[int] = frozenset(),
    *,
    history: bool = False,
    assumed: Assumptions = NOTHING_ASSUMED,
    compared: Sequence[int] = (),
    overwrite: Mapping[int, str | None] = _NOTHING,
) -> Snapshot:
    """Read what planning needs; note outputs that a power cut may have kept from the disk."""
    return observe(
        loaded.store,
        loaded.targets,
        requested,
        cascade,
        loaded.host,
        history=history,
        is_doubtful=doubt_of(loaded.workspace.prefix, loaded.host.machine_boot),
        assumed=assumed,
        losses=True,
        compared=compared,
        overwrite=overwrite,
    )
