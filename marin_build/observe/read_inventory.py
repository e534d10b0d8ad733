"""Reads what lies under a prefix: outputs of all identities, and what is not ours.

What an output holds, its record says, so that it need not be listed; only one without a record is.
A bucket of 10,000 outputs is asked for ten pages of folders, and for a status and a record of each,
a hundred at once.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoreError
from marin_build.observe.read_failures import read_failures
from marin_build.observe.read_snapshot import doubt_of
from marin_build.observe.walk_prefix import is_link, walk_prefix
from marin_build.pipeline.names import name_problem
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.inventory import ForeignFolder, Inventory, InventoryTarget
from marin_build.plan.payload_diff import dependency_name
from marin_build.plan.snapshot import Observed
from marin_build.plan.target_state import target_state
from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.latest import read_pointers
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.living_work import living_work
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS, parse_status
from marin_build.protocol.stored_record import StoredRecord, parse_stored_record
from marin_build.protocol.tombstone import readable_tombstone
from marin_build.quick_dataclass import dataclass
from marin_build.store.refusals import each_folder, read_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.observe.walk_prefix import Beside
    from marin_build.protocol.lease import Host
    from marin_build.store.base import Blob, File, Store


_NO_RECORD = StoredRecord()


def read_inventory(
    store: Store,
    prefix: str,
    host: Host,
    *,
    known: Iterable[str] = (),
    sizes: bool = True,
    foreign_sizes: bool = False,
) -> Inventory:
    """Read what lies under a prefix; nothing is written, and no pipeline is asked.

    Args:
        store: holds the prefix.
        prefix: an absolute folder or a URL.
        host: this machine, to recognise holders that died here.
        known: output paths that are looked at wherever they lie under the prefix, as those of a
            pipeline: one may lie inside another output.
        sizes: list the outputs whose records do not tell their sizes: a listing for each.
        foreign_sizes: list what is not ours, too, however much that is.

    Raises:
        StoreError: the prefix cannot be listed, or its bucket cannot be read. A folder of a disk
            that cannot be read is noted, and everything else is read.

    """
    inside = [path for path in known if path.startswith(f"{prefix}/")]
    walked = walk_prefix(store, prefix, inside)
    targets = _targets(store, prefix, host, walked.outputs)
    if sizes:
        listed = list_sizes(store, [each.path for each in targets if each.size is None])
        targets = [_sized(each, listed.get(each.path)) for each in targets]
    foreign = [ForeignFolder(path, why) for path, why in walked.foreign(prefix).items()]
    if foreign_sizes:
        listed = list_sizes(store, [each.path for each in foreign if not is_link(store, each.path)])
        listed |= {each.path: _LINK for each in foreign if is_link(store, each.path)}
        foreign = [
            replace(each, size=found.size, files=found.files)
            if (found := listed.get(each.path)) is not None
            else each
            for each in foreign
        ]
    targets.sort(key=lambda each: (each.end, each.target), reverse=True)
    targets.sort(key=lambda each: each.name)
    foreign.sort(key=lambda each: each.path)
    loose = tuple(name for name in store.list(prefix) if not layout.is_ours(name))
    return Inventory(
        prefix, tuple(targets), tuple(foreign), loose, tuple(walked.own), walked.left_out
    )


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing of a folder found: bytes and number of files, without those of ours."""

    size: int
    files: int


_LINK = Listed(0, 0)
"""A link takes no room here: what it points to lies elsewhere, and may be a whole disk."""


def list_sizes(store: Store, folders: Sequence[str]) -> dict[str, Listed]:
    """Return folder -> what lies in it now, from a listing of each, many at once.

    A folder of a disk that cannot be listed is left out.

    Raises:
        StoreError: a bucket cannot be listed.

    """
    listings = each_folder(store, store.files, folders)
    return {path: _measured(files) for path, files in listings.items() if files is not None}


def _measured(files: Sequence[File]) -> Listed:
    sizes = [f.size for f in files if not layout.is_ours(f.path.partition("/")[0])]
    return Listed(sum(sizes), len(sizes))


def _sized(target: InventoryTarget, listed: Listed | None) -> InventoryTarget:
    if listed is None:
        return target
    return replace(target, size=listed.size, files=listed.files, size_source="listing")


def _targets(
    store: Store, prefix: str, host: Host, outputs: Mapping[str, Beside]
) -> list[InventoryTarget]:
    """Return the outputs, with what their records, leases, failures, taints and marks say."""
    seen = {path: _status(path, beside.status) for path, beside in outputs.items()}
    _read_leases(store, host, seen)
    records = _read_records(store, outputs, seen)
    failed = [path for path, each in seen.items() if each.status == STATUS_FAILED]
    with _forgiving(store):
        for path, last in read_failures(store, failed).items():
            seen[path] = replace(seen[path], last=last)
    pointers: frozenset[str] = frozenset()
    with _forgiving(store):
        pointers = read_pointers(store, prefix)
    identities = {path: _identity(prefix, path, records[path]) for path in outputs}
    marks = _read_marks(store, prefix, [id_ for _, id_ in identities.values()])
    is_doubtful = doubt_of(prefix, host.machine_boot)
    return [
        _target(
            path,
            *identities[path],
            seen[path],
            records[path],
            mark=marks.get(identities[path][1]),
            is_doubtful=is_doubtful,
            pointers=pointers,
        )
        for path in outputs
    ]


def _target(
    path: str,
    name: str,
    id_: str,
    seen: Observed,
    record: StoredRecord,
    *,
    mark: Blob | None,
    is_doubtful: Callable[[str, str], bool] | None,
    pointers: frozenset[str],
) -> InventoryTarget:
    built, taint = record.built, None
    is_ours = built is not None and built.adopted_from is None  # adopted data is older than its run
    if is_doubtful is not None and built is not None and is_ours:
        is_doubted = seen.status == STATUS_SUCCESS and is_doubtful(built.run, built.end)
        seen = replace(seen, doubtful=is_doubted)
    if mark is not None and seen.is_built:
        from marin_build.observe.read_taints import holding_taint

        try:
            taint = holding_taint(mark.data, "", id_, built.run if built is not None else "")
        except CorruptStateError:
            seen = replace(seen, damage=Unreadable("taint", id_))
    is_sized = record.size is not None and seen.status == STATUS_SUCCESS
    places = {path, built.adopted_from if built is not None else None}
    return InventoryTarget(
        name,
        id_,
        path,
        target_state(seen, taint=taint),
        built,
        record.needs,
        record.size if is_sized else None,
        record.files if is_sized else None,
        "record" if is_sized else None,
        is_latest=not places.isdisjoint(pointers),
    )


def _status(path: str, blob: Blob | None) -> Observed:
    if blob is None:
        return Observed()
    file = f"{path}/{layout.STATUS}"
    try:
        return Observed(parse_status(blob.data, file), tombstone=readable_tombstone(blob.data))
    except CorruptStateError:
        return Observed(damage=Unreadable("status", file))


def _read_leases(store: Store, host: Host, seen: dict[str, Observed]) -> None:
    """Read the leases of outputs that are not built."""
    held = [path for path, each in seen.items() if each.status != STATUS_SUCCESS]
    blobs, _ = read_each(store, [f"{path}/{layout.LEASE}" for path in held])
    for path, found in zip(held, blobs, strict=True):
        blob = found
        if blob is None and seen[path].status is None and store.is_local:
            # Who builds by the kernel's lock alone has left a note in the place of the record.
            record = store.get(f"{path}/{layout.RECORD}")
            blob = record if record is not None and note_of(record.data) else None
        if blob is None or seen[path].damage is not None:
            continue
        file = f"{path}/{layout.LEASE}"
        try:
            lease = parse_lease(blob.data, file)
        except CorruptStateError:
            seen[path] = replace(seen[path], damage=Unreadable("lease", file))
            continue
        gone = host.is_gone(lease)
        log = layout.local_log_path(path, path.rpartition("/")[2], lease)
        work = living_work(lease.nonce, log, lease.run) if gone else ()
        seen[path] = replace(seen[path], lease=lease, gone=gone, work=work)


def _read_records(
    store: Store, outputs: Mapping[str, Beside], seen: Mapping[str, Observed]
) -> dict[str, StoredRecord]:
    """Return what the records say; newer outputs of Marin have theirs in `.artifact.json`."""
    found = {
        path: parse_stored_record(beside.record.data if beside.record is not None else None)
        for path, beside in outputs.items()
    }
    unsaid = [p for p, said in found.items() if said is None and seen[p].status == STATUS_SUCCESS]
    blobs, _ = read_each(store, [f"{path}/{layout.ARTIFACT}" for path in unsaid])
    for path, blob in zip(unsaid, blobs, strict=True):
        if blob is not None:
            found[path] = parse_stored_record(None, blob.data)
    return {path: said or _NO_RECORD for path, said in found.items()}


def _read_marks(store: Store, prefix: str, ids: Sequence[str]) -> dict[str, Blob]:
    """Return the marks of tainted targets, by id: one listing, and as a rule nothing more."""
    folder = layout.taints_folder(prefix)
    names: set[str] = set()
    with _forgiving(store):
        names = set(store.list(folder))
    marked = [id_ for id_ in ids if layout.taint_name(id_) in names]
    blobs, _ = read_each(store, [layout.taint_path(prefix, id_) for id_ in marked])
    return {id_: blob for id_, blob in zip(marked, blobs, strict=True) if blob is not None}


def _identity(prefix: str, path: str, record: StoredRecord) -> tuple[str, str]:
    """Return the name and the id of the target at an output path.

    A path with a hash says both, whatever a record there says. Else the record says them, if it
    says legal ones; a folder without such a record is a version of what is called as its parent.
    """
    inside, said = path.removeprefix(f"{prefix}/"), record.target
    name, id_ = layout.target_under(inside, said)
    has_hash = id_ == inside != name
    if has_hash or not said or not _is_legal(said):
        return name, id_
    return dependency_name(said), said


def _is_legal(target: str) -> bool:
    """Return whether a target may be called so: any program may have written the record."""
    return name_problem(target.replace("@", "/")) is None


def _forgiving(store: Store) -> suppress:
    """Let a folder of a disk that cannot be read say nothing; a bucket must answer."""
    return suppress(*((StoreError,) if store.is_local else ()))
