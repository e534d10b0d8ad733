"""The reading of a snapshot: from the requested targets downwards, in few batches.

Below a built target nothing is read. After a level that is not built, the next batch takes 2, 4,
8 ... levels at once, so that a deep chain does not cost a round trip a step.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.assumptions import NOTHING_ASSUMED
from marin_build.errors import CorruptStateError, StoppedError
from marin_build.plan import reached
from marin_build.protocol import layout
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS, parse_status
from marin_build.snapshot import (
    NOTHING_SEEN,
    Built,
    Earlier,
    LastAttempt,
    Observed,
    Snapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.assumptions import Assumptions
    from marin_build.fingerprint import Targets
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

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        requested: where to begin.
        cascade: targets built whatever their status, so that what they need is read too.
        host: this machine, to recognise holders that died here.
        records: read the records of reused targets too, and check their fingerprints.
        history: read earlier builds of what is to be built, to tell what changed since, and how
            long it took.
        is_doubtful: tells by run and end whether what was built may not have reached the disk.
        assumed: what is assumed: what is taken for built is not read, nor what only it needs.
        below: read what unbuilt ones need, too.

    Raises:
        StoreError: something cannot be read.

    """
    seen: dict[int, Observed] = dict.fromkeys(assumed.built, Observed(STATUS_SUCCESS))
    frontier, width = list(dict.fromkeys(requested)), 1
    while frontier:
        batch = _descend(targets, frontier, width, seen)
        _read(store, targets, batch, seen, host)
        if is_doubtful is not None:
            built = [i for i in batch if seen[i].status == STATUS_SUCCESS]
            _read_records(store, targets, built, seen, cascade)
            for index in built:
                it = seen[index].built
                # The data of what was adopted is older than the run that registered it.
                built_then = it is not None and it.adopted_from is None
                if it is not None and built_then and is_doubtful(it.run, it.end):
                    seen[index] = replace(seen[index], doubtful=True)
        unbuilt = [i for i in frontier if i in cascade or not seen[i].is_built]
        frontier = _next_frontier(targets, unbuilt, cascade, seen) if below else []
        width = min(2 * width, 1024) if unbuilt else 1
    wanted = _needed(targets, requested, cascade, seen) if below else set(seen)
    if records and is_doubtful is None:
        built = [i for i in wanted - assumed.built if seen[i].status == STATUS_SUCCESS]
        _read_records(store, targets, built, seen, cascade)
    _read_failures(store, targets, [i for i in wanted if seen[i].status == STATUS_FAILED], seen)
    earlier: Mapping[int, tuple[Earlier, ...]] = {}
    if history:
        from marin_build.history import read_history

        to_build = [i for i in wanted if i in cascade or not seen[i].is_built]
        earlier = read_history(store, targets, sorted(to_build))
    return Snapshot({i: seen[i] for i in sorted(wanted)}, earlier)


def list_tainted(store: Store, targets: Targets) -> list[int]:
    """Return the targets that have a mark, whether or not it still holds: one listing.

    Raises:
        StoreError: the store cannot be read.

    """
    names = set(store.list(layout.taints_folder(targets.workspace.prefix)))
    if not names:
        return []
    return [i for i, target in enumerate(targets.all) if layout.taint_name(target.id) in names]


def _descend(
    targets: Targets,
    start: Sequence[int],
    levels: int,
    seen: AbstractSet[int] | dict[int, Observed],
) -> list[int]:
    """Return what is `levels` deep below `start`, itself included, and was not read yet."""
    found = dict.fromkeys(i for i in start if i not in seen)
    level: Iterable[int] = start
    for _ in range(levels - 1):
        level = dict.fromkeys(
            dep for i in level for dep in targets.deps[i] if dep not in found and dep not in seen
        )
        if not level:
            break
        found.update(dict.fromkeys(level))
    return list(found)


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
            elif dep in cascade or not seen[dep].is_built:
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
        if index in cascade or not seen[index].is_built:
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
        seen[index] = (
            Observed(parse_status(blob.data, path), status_version=blob.version)
            if blob is not None
            else NOTHING_SEEN
        )
    # Whoever takes a lease says RUNNING next: where no status is, there is nobody to wait for,
    # but for an instant, and the conditional create of the lease finds him then.
    open_ones = [i for i in batch if seen[i].status not in (None, STATUS_SUCCESS)]
    paths = [f"{targets.all[i].output_path}/{layout.LEASE}" for i in open_ones]
    for index, path, blob in zip(open_ones, paths, store.get_many(paths), strict=True):
        if blob is not None:
            lease = parse_lease(blob.data, path)
            seen[index] = replace(
                seen[index], lease=lease, gone=host.is_gone(lease), lease_version=blob.version
            )


def _read_records(
    store: Store,
    targets: Targets,
    built: Sequence[int],
    seen: dict[int, Observed],
    rebuilt: AbstractSet[int],
) -> None:
    """Read the records of built targets; refuse another target's, unless it is built anew."""
    paths = [f"{targets.all[i].output_path}/{layout.RECORD}" for i in built]
    # Ids pin what is above them, but for versions and output paths, which may hold anything.
    loose = built and any(t.step.version or t.step.override_output_path for t in targets.all)
    deep = targets.deep_fingerprints() if loose else ()
    for index, path, blob in zip(built, paths, store.get_many(paths), strict=True):
        if blob is None:  # built by Marin, or copied without its record
            continue
        record = _record(blob.data, path)
        if deep and record is not None and index not in rebuilt:
            _check_upstream(targets, index, record, deep[index])
        target = targets.all[index]
        if record is not None and record.fingerprint != target.fingerprint and index not in rebuilt:
            raise StoppedError(
                f"`{target.output_path}` holds another target",
                facts=[("recorded", record.fingerprint), ("declared", target.fingerprint)],
                consequence="nothing was run",
                hint=_way_out(targets, index),
            )
        seen[index] = replace(seen[index], built=record)


def _check_upstream(targets: Targets, index: int, record: Built, deep: str) -> None:
    """Refuse what was made from another identity than lies under the same version now."""
    same = record.deep_fingerprint in (None, deep) or record.adopted_from is not None
    if same or record.fingerprint != targets.all[index].fingerprint:
        return
    loose = [
        targets.all[i].id
        for i in sorted(reached(targets, [index]) - {index})
        if targets.all[i].step.version or targets.all[i].step.override_output_path
    ]
    raise StoppedError(
        f"`{targets.all[index].id}` was built from another identity than the pipeline declares",
        facts=[("one of", "\n".join(loose[:10]))],
        consequence="nothing was run",
        hint="give what changed a new version; or build both again with --force",
    )


def read_built(store: Store, targets: Targets, indices: Sequence[int]) -> dict[int, Built | None]:
    """Return what the records of some targets say, read in one batch; for reports only.

    A target without a record is left out. None for a record that Marin wrote, that is not
    readable, or that is another target's: it says nothing, and no plan depends on it.

    Raises:
        StoreError: the store cannot be read.

    """
    paths = [f"{targets.all[i].output_path}/{layout.RECORD}" for i in indices]
    found: dict[int, Built | None] = {}
    for index, path, blob in zip(indices, paths, store.get_many(paths), strict=True):
        if blob is not None:
            try:
                built = _record(blob.data, path)
            except CorruptStateError:
                built = None
            is_its_own = built and built.fingerprint == targets.all[index].fingerprint
            found[index] = built if is_its_own else None
    return found


def _way_out(targets: Targets, index: int) -> str:
    step = targets.all[index].step
    if step.version is not None:
        return f"the pipeline changed under the version `{step.version}`: give it a new one"
    if step.override_output_path is not None:
        return "the pipeline changed under this output path: give it another one"
    return "two identities share 8 digits of their fingerprint: rename the step"


def _record(data: bytes, path: str) -> Built | None:
    """Return what a record says; None for a record that Marin wrote."""
    try:
        document = json.loads(data)
        if not str(document.get("executor_version", "")).startswith("marin_build/"):
            return None
        who = document["provenance"]
        return Built(
            document["fingerprint"],
            document["run"],
            f"{who['user']}@{who['host']}",
            document["end"],
            document.get("code_digest"),
            document.get("code_document"),
            document.get("captured"),
            int(document.get("attempt") or 0),
            float(document.get("seconds") or 0),
            document.get("adopted_from"),
            int(document.get("files") or 0),
            int(document.get("bytes") or 0),
            deep_fingerprint=document.get("deep_fingerprint"),
            deep_code_digest=document.get("deep_code_digest") or None,
            environment=document.get("environment"),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorruptStateError(
            f"the record `{path}` is not readable",
            facts=[("perhaps", "it is damaged, or of a newer marin-build")],
            consequence="nothing was run",
            hint="delete it to use the output without its history, or the folder to build it again",
        ) from None


def _read_failures(
    store: Store, targets: Targets, failed: Sequence[int], seen: dict[int, Observed]
) -> None:
    """Read the newest attempt of each failed target."""
    folders = [f"{targets.all[i].output_path}/{layout.LOGS}" for i in failed]
    newest: list[tuple[int, str]] = []
    for index, names in zip(failed, _list_all(store, folders), strict=True):
        number = max((layout.attempt_number(name) or 0 for name in names), default=0)
        if number:
            newest.append((index, layout.attempt_path(targets.all[index].output_path, number)))
    blobs = store.get_many([path for _, path in newest])
    for (index, path), blob in zip(newest, blobs, strict=True):
        try:
            document = json.loads(blob.data if blob is not None else b"")
            last = LastAttempt(
                document["attempt"],
                document["exit_code"],
                document["message"],
                document["worker"],
                document["end"],
            )
        except (ValueError, KeyError, TypeError):
            raise CorruptStateError(
                f"the attempt `{path}` is not readable",
                consequence="its target is not taken for built",
                hint="delete the output's folder to build it again",
            ) from None
        seen[index] = replace(seen[index], last=last)


def _list_all(store: Store, folders: Sequence[str]) -> list[list[str]]:
    """Return the names in each folder; a remote store is asked for many at once."""
    if store.is_local or not folders:
        return [store.list(folder) for folder in folders]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
        return list(pool.map(store.list, folders))
