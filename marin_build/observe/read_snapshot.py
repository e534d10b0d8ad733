"""Reads a snapshot: statuses and leases, then records and the attempts that failed."""

from __future__ import annotations

import os
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.observe.bare_prefix import is_bare
from marin_build.observe.descent import descend, needed
from marin_build.observe.read_records import read_records
from marin_build.plan.assumptions import NOTHING_ASSUMED
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.graph_shape import upstream
from marin_build.plan.snapshot import NOTHING_SEEN, Observed, Snapshot
from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.status import STATUS_FAILED, STATUS_RUNNING, STATUS_SUCCESS, parse_status
from marin_build.protocol.tombstone import readable_tombstone
from marin_build.store.durability import doubter, runs_cut_short
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.identity_drift import IdentityDrift
    from marin_build.plan.snapshot import Earlier
    from marin_build.protocol.lease import Host, Lease
    from marin_build.protocol.living_work import Process
    from marin_build.store.base import File, Store


_NOTHING: Mapping[int, str | None] = MappingProxyType({})


def observe(
    store: Store,
    targets: Targets,
    requested: Iterable[int],
    cascade: AbstractSet[int],
    host: Host,
    *,
    records: bool = True,
    history: bool = False,
    is_doubtful: Callable[[str, str], bool] | None = None,
    assumed: Assumptions = NOTHING_ASSUMED,
    below: bool = True,
    losses: bool = False,
    compared: Iterable[int] = (),
    overwrite: Mapping[int, str | None] = _NOTHING,
) -> Snapshot:
    """Read what planning needs.

    A damaged file is noted at its target, and everything else is read.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        requested: where to begin.
        cascade: targets built whatever their status, so that what they need is read too.
        host: this machine, to recognise holders that died here.
        records: read the records of reused targets too, and compare their fingerprints.
        history: read earlier builds of what is to be built, to tell what changed since, and how
            long it took.
        is_doubtful: tells by run and end of a build whether it may not have reached the disk.
        assumed: targets that count as built are not read, nor what only they need.
        below: read what unbuilt ones need, too.
        losses: compare the outputs that feed what is to be built with what their builds left.
        compared: built targets whose outputs are compared, too.
        overwrite: targets whose foreign data may be deleted; see `read_obstacles`.

    Raises:
        StoreError: something cannot be read.
        StoppedError: what is built is another target with the same hash in its path, or differs
            from a pinned fingerprint.

    """
    requested = list(requested)
    if not assumed and is_bare(store, targets):
        return Snapshot(_nothing_seen(targets, requested, below=below))
    others: list[int] = []
    seen: dict[int, Observed] = dict.fromkeys(assumed.built, Observed(STATUS_SUCCESS))

    def read(batch: Sequence[int]) -> None:
        read_statuses(store, targets.all, batch, seen, host)
        if is_doubtful is not None:
            built = [i for i in batch if seen[i].status == STATUS_SUCCESS]
            others.extend(read_records(store, targets, built, seen, cascade))
            for index in built:
                it = seen[index].built
                # Adopted data is older than the run that registered it.
                built_then = it is not None and it.adopted_from is None
                if it is not None and built_then and is_doubtful(it.run, it.end):
                    seen[index] = replace(seen[index], doubtful=True)

    def is_open(index: int) -> bool:
        one = seen[index]
        return one is NOTHING_SEEN or index in cascade or one.is_open

    listed: dict[str, list[str]] = {}  # of buckets: folders of builds
    looked_for: set[int] = set()
    manifests: dict[int, tuple[File, ...] | None] = {}
    recorded = set(assumed.built)
    while True:
        descend(targets.deps, requested, read, is_open, seen=seen, below=below)
        # At the first plan nothing is built, so nothing was only read ahead.
        is_first = all(one is NOTHING_SEEN for one in seen.values())
        wanted = needed(targets.deps, requested, is_open) if below and not is_first else set(seen)
        if below and (new := [i for i in sorted(wanted - looked_for) if is_open(i)]):
            from marin_build.observe.read_obstacles import read_obstacles

            looked_for.update(new)
            read_obstacles(store, targets, new, seen, overwrite, listed)
        if records and is_doubtful is None:
            built = [i for i in wanted - recorded if seen[i].status == STATUS_SUCCESS]
            recorded.update(built)
            others += read_records(store, targets, built, seen, cascade)
        if not losses or is_first:
            break
        # What is gone is to be built, so that what it was built from is asked for, too.
        known = {*manifests, *assumed.built}
        fresh = _compared(store, targets, wanted, cascade, seen, known, compared)
        manifests |= fresh
        if not any(seen[i].lost for i in fresh):
            break
    _read_failures(store, targets, [i for i in wanted if seen[i].status == STATUS_FAILED], seen)
    earlier: Mapping[int, tuple[Earlier, ...]] = {}
    if history:
        from marin_build.observe.read_history import read_history

        earlier = read_history(store, targets, sorted(filter(is_open, wanted)), listed=listed)
    drifted = _drifted(store, targets, seen, wanted.intersection(others))
    looked_at = {i: seen[i] for i in sorted(wanted)}
    return Snapshot(looked_at, earlier, drifted=drifted, manifests=manifests)


def _nothing_seen(
    targets: Targets, requested: Sequence[int], *, below: bool
) -> dict[int, Observed]:
    """Return what is seen of targets, and of all that they need, if nothing is there."""
    wanted = upstream(targets, requested) if below else set(requested)
    return dict.fromkeys(sorted(wanted), NOTHING_SEEN)


def _drifted(
    store: Store, targets: Targets, seen: dict[int, Observed], others: AbstractSet[int]
) -> Mapping[int, IdentityDrift]:
    if not others:
        return {}
    from marin_build.observe.read_identity_drift import read_identity_drift

    return read_identity_drift(store, targets, seen, sorted(others))


def _compared(
    store: Store,
    targets: Targets,
    wanted: Iterable[int],
    cascade: AbstractSet[int],
    seen: dict[int, Observed],
    known: AbstractSet[int],
    also: Iterable[int],
) -> dict[int, tuple[File, ...] | None]:
    """Compare the outputs that feed what is to be built, and others, but for what is known."""
    also = [i for i in also if i not in known and seen[i].status == STATUS_SUCCESS]
    if not also and not any(i in cascade or seen[i].is_open for i in wanted):
        return {}
    from marin_build.observe.read_losses import feeding, read_losses

    indices = sorted({*also, *feeding(targets, seen, wanted, cascade, known)})
    return read_losses(store, targets, seen, indices) if indices else {}


def list_tainted(store: Store, targets: Targets) -> list[int]:
    """Return the targets that have a mark, whether or not it still holds: one listing.

    Raises:
        StoreError: the store cannot be read.

    """
    names = set(store.list(layout.taints_folder(targets.workspace.prefix)))
    if not names:
        return []
    return [i for i, target in enumerate(targets.all) if layout.taint_name(target.id) in names]


def read_statuses(
    store: Store,
    targets: Sequence[Target],
    batch: Iterable[int],
    seen: dict[int, Observed],
    host: Host,
) -> None:
    """Read statuses, and the leases of targets that are not built, into `seen`.

    Raises:
        StoreError: they cannot be read.

    """
    batch = list(batch)
    paths = [f"{targets[i].output_path}/{layout.STATUS}" for i in batch]
    for index, path, blob in zip(batch, paths, store.get_many(paths), strict=True):
        seen[index] = NOTHING_SEEN
        if blob is not None:
            try:
                status = parse_status(blob.data, path)
                tombstone = readable_tombstone(blob.data)
                seen[index] = Observed(status, status_version=blob.version, tombstone=tombstone)
            except CorruptStateError:
                seen[index] = Observed(damage=Unreadable("status", path))
    if store.is_local:
        _read_notes(store, host, targets, seen, [i for i in batch if seen[i] is NOTHING_SEEN])
    # A holder writes RUNNING right after the lease, so no status means no holder of one, but for
    # an instant, and then the conditional create of the lease finds it.
    # A status file that says nothing may be one that Marin is just writing.
    open_ones = [i for i in batch if seen[i].status_version and seen[i].status != STATUS_SUCCESS]
    if not open_ones:
        return
    paths = [f"{targets[i].output_path}/{layout.LEASE}" for i in open_ones]
    for index, path, blob in zip(open_ones, paths, store.get_many(paths), strict=True):
        if blob is not None:
            try:
                lease = parse_lease(blob.data, path)
            except CorruptStateError:
                seen[index] = replace(seen[index], damage=Unreadable("lease", path))
                continue
            gone = host.is_gone(lease)
            seen[index] = replace(
                seen[index],
                lease=lease,
                gone=gone,
                work=_left_working(targets[index], lease) if gone else (),
                lease_version=blob.version,
            )


def _read_notes(
    store: Store,
    host: Host,
    targets: Sequence[Target],
    seen: dict[int, Observed],
    unbuilt: Sequence[int],
) -> None:
    """Read who builds targets by the kernel's lock alone: for a second, there is no lease."""
    paths = [f"{targets[index].output_path}/{layout.RECORD}" for index in unbuilt]
    for index, blob in zip(unbuilt, store.get_many(paths), strict=True):
        if blob is not None and (lease := note_of(blob.data)) is not None:
            gone = host.is_gone(lease)
            work = _left_working(targets[index], lease) if gone else ()
            seen[index] = Observed(STATUS_RUNNING, lease=lease, gone=gone, work=work)


def _left_working(target: Target, lease: Lease) -> tuple[Process, ...]:
    from marin_build.protocol.living_work import living_work

    log = layout.local_log_path(target.output_path, target.id, lease)
    return living_work(lease.nonce, log, lease.run)


def _read_failures(
    store: Store, targets: Targets, failed: Sequence[int], seen: dict[int, Observed]
) -> None:
    """Read the newest attempt of each failed target."""
    if not failed:
        return
    from marin_build.observe.read_failures import read_failures

    paths = {targets.all[i].output_path: i for i in failed}
    for path, last in read_failures(store, list(paths)).items():
        seen[paths[path]] = replace(seen[paths[path]], last=last)


def doubt_of(prefix: str, boot: str) -> Callable[[str, str], bool] | None:
    """Return a function that tells by run and end of a build whether a power cut may have lost it.

    None for a remote prefix.
    """
    if is_url(prefix):
        return None
    name = os.uname().nodename
    return doubter(runs_cut_short(prefix, boot=boot, host=name))
