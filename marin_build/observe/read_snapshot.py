"""The reading of a snapshot: from the requested targets downwards, in few batches.

Below a built target nothing is read. After a level that is not built, the next batch takes 2, 4,
8 ... levels at once, so that a deep chain does not cost a round trip a step.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.observe.read_records import read_records
from marin_build.plan.assumptions import NOTHING_ASSUMED
from marin_build.plan.graph_shape import levels_below
from marin_build.plan.reasons import Unreadable
from marin_build.plan.snapshot import NOTHING_SEEN, LastAttempt, Observed, Snapshot
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS, parse_status
from marin_build.store.durability import doubter, runs_cut_short
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.operations.project import Loaded
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.assumptions import Assumptions
    from marin_build.plan.identity_drift import IdentityDrift
    from marin_build.plan.snapshot import Earlier
    from marin_build.protocol.lease import Host
    from marin_build.store.base import Store


_LISTINGS_AT_ONCE = 32


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
) -> Snapshot:
    """Read what planning needs.

    What is damaged beside one target is noted there, and everything else is read.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        requested: where to begin.
        cascade: targets built whatever their status, so that what they need is read too.
        host: this machine, to recognise holders that died here.
        records: read the records of reused targets too, and compare their fingerprints.
        history: read earlier builds of what is to be built, to tell what changed since, and how
            long it took.
        is_doubtful: tells by run and end whether what was built may not have reached the disk.
        assumed: what is assumed: what is taken for built is not read, nor what only it needs.
        below: read what unbuilt ones need, too.

    Raises:
        StoreError: something cannot be read.
        StoppedError: what is built is another target, which only its hash does not tell; or one
            whose fingerprint is pinned.

    """
    others: list[int] = []
    seen: dict[int, Observed] = dict.fromkeys(assumed.built, Observed(STATUS_SUCCESS))
    frontier, width = list(dict.fromkeys(requested)), 1
    while frontier:
        batch = levels_below(targets, frontier, width, seen)
        _read(store, targets, batch, seen, host)
        if is_doubtful is not None:
            built = [i for i in batch if seen[i].status == STATUS_SUCCESS]
            others += read_records(store, targets, built, seen, cascade)
            for index in built:
                it = seen[index].built
                # The data of what was adopted is older than the run that registered it.
                built_then = it is not None and it.adopted_from is None
                if it is not None and built_then and is_doubtful(it.run, it.end):
                    seen[index] = replace(seen[index], doubtful=True)
        unbuilt = [i for i in frontier if i in cascade or seen[i].is_open]
        frontier = _next_frontier(targets, unbuilt, cascade, seen) if below else []
        width = min(2 * width, 1024) if unbuilt else 1
    wanted = _needed(targets, requested, cascade, seen) if below else set(seen)
    if records and is_doubtful is None:
        built = [i for i in wanted - assumed.built if seen[i].status == STATUS_SUCCESS]
        others += read_records(store, targets, built, seen, cascade)
    _read_failures(store, targets, [i for i in wanted if seen[i].status == STATUS_FAILED], seen)
    earlier: Mapping[int, tuple[Earlier, ...]] = {}
    if history:
        from marin_build.observe.read_history import read_history

        to_build = [i for i in wanted if i in cascade or seen[i].is_open]
        earlier = read_history(store, targets, sorted(to_build))
    drifted: Mapping[int, IdentityDrift] = {}
    if others:
        from marin_build.observe.read_identity_drift import read_identity_drift

        drifted = read_identity_drift(store, targets, seen, sorted(wanted.intersection(others)))
    return Snapshot({i: seen[i] for i in sorted(wanted)}, earlier, drifted=drifted)


def list_tainted(store: Store, targets: Targets) -> list[int]:
    """Return the targets that have a mark, whether or not it still holds: one listing.

    Raises:
        StoreError: the store cannot be read.

    """
    names = set(store.list(layout.taints_folder(targets.workspace.prefix)))
    if not names:
        return []
    return [i for i, target in enumerate(targets.all) if layout.taint_name(target.id) in names]


def _next_frontier(
    targets: Targets, unbuilt: Iterable[int], cascade: AbstractSet[int], seen: dict[int, Observed]
) -> list[int]:
    """Return the dependencies that must be asked for next, walking over what was read ahead."""
    frontier: dict[int, None] = {}
    pending, walked = list(unbuilt), set[int]()
    while pending:
        for dep in targets.deps[pending.pop()]:
            if dep in walked:
                continue
            walked.add(dep)
            if dep not in seen:
                frontier[dep] = None
            elif dep in cascade or seen[dep].is_open:
                pending.append(dep)
    return list(frontier)


def _needed(
    targets: Targets, requested: Iterable[int], cascade: AbstractSet[int], seen: dict[int, Observed]
) -> set[int]:
    """Return what a plan looks at: not what was only read ahead, below a built target."""
    if all(one is NOTHING_SEEN for one in seen.values()):
        return set(seen)  # the first plan: nothing is built, so nothing was only read ahead
    pending = list(requested)
    needed = set(pending)
    while pending:
        index = pending.pop()
        if index in cascade or seen[index].is_open:
            fresh = [dep for dep in targets.deps[index] if dep not in needed]
            needed.update(fresh)
            pending.extend(fresh)
    return needed


def _read(
    store: Store, targets: Targets, batch: Sequence[int], seen: dict[int, Observed], host: Host
) -> None:
    """Read statuses, and the leases of what is not built."""
    paths = [f"{targets.all[i].output_path}/{layout.STATUS}" for i in batch]
    for index, path, blob in zip(batch, paths, store.get_many(paths), strict=True):
        seen[index] = NOTHING_SEEN
        if blob is not None:
            try:
                status = parse_status(blob.data, path)
                seen[index] = Observed(status, status_version=blob.version)
            except CorruptStateError:
                seen[index] = Observed(damage=Unreadable("status", path))
    # Whoever takes a lease says RUNNING next: where no status is, there is nobody to wait for,
    # but for an instant, and the conditional create of the lease finds him then.
    open_ones = [i for i in batch if seen[i].status not in (None, STATUS_SUCCESS)]
    paths = [f"{targets.all[i].output_path}/{layout.LEASE}" for i in open_ones]
    for index, path, blob in zip(open_ones, paths, store.get_many(paths), strict=True):
        if blob is not None:
            try:
                lease = parse_lease(blob.data, path)
            except CorruptStateError:
                seen[index] = replace(seen[index], damage=Unreadable("lease", path))
                continue
            seen[index] = replace(
                seen[index], lease=lease, gone=host.is_gone(lease), lease_version=blob.version
            )


def _read_failures(
    store: Store, targets: Targets, failed: Sequence[int], seen: dict[int, Observed]
) -> None:
    """Read the newest attempt of each failed target."""
    folders = [f"{targets.all[i].output_path}/{layout.LOGS}" for i in failed]
    newest: list[tuple[int, int, str]] = []
    for index, names in zip(failed, _list_all(store, folders), strict=True):
        number = max((layout.attempt_number(name) or 0 for name in names), default=0)
        if number:
            path = layout.attempt_path(targets.all[index].output_path, number)
            newest.append((index, number, path))
    blobs = store.get_many([path for _, _, path in newest])
    for (index, number, path), blob in zip(newest, blobs, strict=True):
        last = _last_attempt(blob.data if blob is not None else b"", number, path)
        seen[index] = replace(seen[index], last=last)


def _last_attempt(data: bytes, number: int, path: str) -> LastAttempt:
    """Return what a failed attempt's document says.

    If it is not readable, the status still says that it failed: it is built again, like others.
    """
    try:
        said = parse_attempt(data, path)
        return LastAttempt(number, said.exit_code, said.message, said.worker, said.end)
    except CorruptStateError:
        return LastAttempt(number, None, f"why is not readable: {path}", "", None)


def _list_all(store: Store, folders: Sequence[str]) -> list[list[str]]:
    """Return the names in each folder; a remote store is asked for many at once."""
    if store.is_local or not folders:
        return [store.list(folder) for folder in folders]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
        return list(pool.map(store.list, folders))


def doubt_of(loaded: Loaded) -> Callable[[str, str], bool] | None:
    """Return what tells by run and end whether a power cut may have taken what was built."""
    prefix = loaded.workspace.prefix
    if is_url(prefix):
        return None
    name = os.uname().nodename
    return doubter(runs_cut_short(prefix, boot=loaded.host.boot, host=name))
