"""Reads the states of targets: one batch of statuses, then more about those not built."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.observe.read_snapshot import doubt_of, list_tainted, observe
from marin_build.plan.target_state import TargetState, target_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.block_reasons import Unreadable
    from marin_build.plan.snapshot import Snapshot
    from marin_build.protocol.lease import Host
    from marin_build.protocol.taints import Taint
    from marin_build.store.base import Store


def read_all(
    store: Store, targets: Targets, host: Host, indices: Iterable[int], *, records: bool = False
) -> Snapshot:
    """Read these targets and no others, neither what they need nor what needs them.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        host: this machine, as leases name it.
        indices: which targets.
        records: read the records of built ones, too.

    Raises:
        StoreError: the store cannot be read.

    """
    wanted = list(indices)
    return observe(
        store,
        targets,
        wanted,
        frozenset(wanted),  # the record of another target is reported, not refused
        host,
        records=records,
        is_doubtful=doubt_of(targets.workspace.prefix, host.machine_boot),
        below=False,
    )


def read_target_states(
    store: Store, targets: Targets, host: Host, indices: Iterable[int]
) -> dict[int, TargetState]:
    """Return the states of targets, by index, in the order of the pipeline."""
    snapshot = read_all(store, targets, host, indices)
    damaged: dict[int, Unreadable] = {}
    built = {index for index in snapshot.seen if snapshot.of(index).is_built}
    marked = built.intersection(list_tainted(store, targets)) if built else built
    taints: Mapping[int, Taint] = {}
    if marked:
        from marin_build.observe.read_taints import read_taints

        taints = read_taints(store, targets, sorted(marked), damaged=damaged.__setitem__)

    def state(index: int) -> TargetState:
        seen = snapshot.of(index)
        if index in damaged and seen.damage is None:
            seen = replace(seen, damage=damaged[index])
        return target_state(seen, taint=taints.get(index))

    return {index: state(index) for index in snapshot.seen}
