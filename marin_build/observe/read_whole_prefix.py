"""All outputs under a prefix, with what decides whether one may be deleted: no pipeline is asked.

Unlike read_inventory.py, which shows what it can find quickly, this misses nothing: all that lies
there is listed, so that outputs inside others are found, too, and what cannot be read ends the
reading. The documents are read in few batches. Links are not followed.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError
from marin_build.plan.reachability import Inventoried
from marin_build.protocol import layout
from marin_build.protocol.builder_note import note_of
from marin_build.protocol.lease import ADOPTING, parse_lease
from marin_build.protocol.record_reader import is_ours
from marin_build.protocol.status import STATUS_DELETING, parse_status
from marin_build.protocol.tombstone import readable_tombstone
from marin_build.store.folder_place import in_the_way
from marin_build.untrusted_json import array, parse_json, path, table, text, text_or_none
from marin_build.workspace.own_folder import NAME as OWN_FOLDER
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.protocol.lease import Lease
    from marin_build.store.base import Blob, File, Store


_AT_ONCE = 32
_PROOFS = frozenset((layout.STATUS, layout.RECORD, layout.LEASE))


@dataclass(slots=True)
class _Found:
    """What the listing shows of one output."""

    names: set[str] = field(default_factory=set)
    attempts: list[int] = field(default_factory=list)
    files: int = 0
    size: int = 0
    holds_others: bool = False


@dataclass(frozen=True, slots=True)
class WholePrefix:
    """What lies under a prefix.

    Args:
        outputs: sorted by path.
        trash: folders that a `gc` moved out of the way and has not deleted yet -> their bytes.

    """

    outputs: tuple[Inventoried, ...]
    trash: Mapping[str, int]


def read_whole_prefix(
    store: Store, prefix: str, is_held: Callable[[str, str, Lease], bool]
) -> WholePrefix:
    """Read what lies under a prefix.

    Args:
        store: of the prefix.
        prefix: an absolute folder, or a URL.
        is_held: whether the holder of a lease may be alive; gets target id, output path and lease.

    Raises:
        StoreError: the prefix cannot be read.

    """
    found, trash = _list(store, prefix)
    paths = [
        f"{prefix}/{folder}/{name}"
        for folder, it in found.items()
        for name in sorted(it.names & _PROOFS)
    ]
    blobs = dict(zip(paths, store.get_many(paths), strict=True))
    newest = {
        folder: layout.attempt_path(f"{prefix}/{folder}", max(it.attempts))
        for folder, it in found.items()
        if it.attempts and layout.RECORD not in it.names
    }
    attempts = dict(zip(newest, store.get_many(list(newest.values())), strict=True))
    outputs = [
        _output(prefix, folder, it, blobs, attempts.get(folder), is_held)
        for folder, it in sorted(found.items())
    ]
    return WholePrefix(tuple(outputs), trash)


def _list(store: Store, prefix: str) -> tuple[dict[str, _Found], dict[str, int]]:
    """Return the outputs under a prefix, by their folder inside it, and what is in the trash."""
    found: dict[str, _Found] = {}
    trash_folder = layout.trash_folder(prefix)
    is_here = not is_url(prefix) and in_the_way(trash_folder) is None  # no link to other data
    trashed = _files_below(store, trash_folder) if is_here else ()
    trash = {folder: sum(file.size for file in files) for folder, files in trashed}
    mine = f"{OWN_FOLDER}/"
    rest = []
    for inside, size in _files_of_outputs(store, prefix):
        if f"/{mine}" not in inside:
            rest.append((inside, size))
            folder, _, name = inside.rpartition("/")
            if folder and name in _PROOFS:
                found.setdefault(folder, _Found()).names.add(name)
            above, _, logs = folder.rpartition("/")
            if above and logs == layout.LOGS and (number := layout.attempt_number(name)):
                found.setdefault(above, _Found()).attempts.append(number)
    for folder in found:
        for above in _above(folder):
            if above in found:
                found[above].holds_others = True
    for inside, size in rest:
        owner = next((above for above in _above(inside) if above in found), None)
        if owner is not None:
            found[owner].files += 1
            found[owner].size += size
    return found, trash


def _files_of_outputs(store: Store, prefix: str) -> Iterable[tuple[str, int]]:
    """Yield path inside the prefix and bytes of each file of an output, or of what is none."""
    for folder, files in _files_below(store, prefix):
        name = folder.rpartition("/")[2]
        if name != OWN_FOLDER:
            yield from ((f"{name}/{file.path}", file.size) for file in files)


def _files_below(store: Store, above: str) -> Iterable[tuple[str, Sequence[File]]]:
    """Yield each folder right in another one, with its files: a listing each, many at once.

    One listing of a whole bucket may take longer than a request should.
    """
    folders = [
        folder
        for folder in store.folders(f"{above}/")
        if is_url(above) or not os.path.islink(folder)
    ]
    if store.is_local:
        return [(folder, store.files(folder)) for folder in folders]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(zip(folders, pool.map(store.files, folders), strict=True))


def _above(inside: str) -> Iterable[str]:
    """Yield the folders around a path, the innermost first."""
    while "/" in inside:
        inside = inside.rpartition("/")[0]
        yield inside


def _output(
    prefix: str,
    folder: str,
    it: _Found,
    blobs: Mapping[str, Blob | None],
    attempt: Blob | None,
    is_held: Callable[[str, str, Lease], bool],
) -> Inventoried:
    output = f"{prefix}/{folder}"
    status, lease, record = (
        blobs.get(f"{output}/{name}") for name in (layout.STATUS, layout.LEASE, layout.RECORD)
    )
    if status is None and lease is None and record is not None and note_of(record.data):
        lease, record = record, None  # who builds by the kernel's lock alone leaves a note there
    said, damage = _documents(output, status, lease, record)
    recorded = _table(record) or {}
    target = recorded.get("target") if is_ours(recorded) else (_table(attempt) or {}).get("target")
    name, id_ = layout.target_under(folder, target)
    holder = said.get("lease")
    is_last = _is_last(it, holder)
    if not damage and status is None and not is_last:
        damage = "its status is gone"
    if not damage and status is not None and not status.data:
        damage = "its status is empty"
    if any(blobs.get(f"{output}/{name}") is None for name in it.names & _PROOFS):
        damage = "it changes just now"
    return Inventoried(
        path=output,
        name=name,
        target=id_,
        status=said.get("status"),
        status_version=status.version if status is not None else "",
        tombstone=readable_tombstone(status.data) if status is not None else None,
        lease=holder,
        is_held=holder is not None and (holder.is_sealed or is_held(id_, output, holder)),
        is_ours=_is_proven(said, recorded, _table(attempt) or {}, id_) or is_last,
        holds_others=it.holds_others,
        damage=damage,
        files=it.files,
        size=it.size,
        **said.get("record", {}),
    )


def _documents(
    output: str, status: Blob | None, lease: Blob | None, record: Blob | None
) -> tuple[dict[str, Any], str]:
    """Return what the documents of an output say, and which of them is not readable."""
    said: dict[str, Any] = {}
    try:
        what = "status"
        said["status"] = parse_status(status.data if status is not None else None, output)
        what = "lease"
        said["lease"] = parse_lease(lease.data, output) if lease is not None else None
        what = "record"
        said["record"] = _recorded(record)
    except (CorruptStateError, ValueError, KeyError):
        return said, f"its {what} is not readable"
    return said, ""


def _recorded(record: Blob | None) -> dict[str, Any]:
    """Return what a record says of when, from what and how its output was made.

    Raises:
        ValueError, KeyError: it is damaged.

    """
    if record is None:
        return {}
    said = table(parse_json(record.data))
    needs = [*array(said.get("deps") or []), *array(said.get("dependencies") or [])]
    if not is_ours(said):  # of Marin: it names what it needs by paths
        return {"needs": tuple(need for need in needs if isinstance(need, str))}
    adopted = said.get("adopted_from")
    return {
        "end": text(said["end"]),
        "needs": tuple(text(need) for need in needs),
        "keep": said.get("keep") is True,
        "adopted_from": None if adopted is None else path(adopted),
    }


def _table(blob: Blob | None) -> dict[str, Any] | None:
    try:
        return table(parse_json(blob.data)) if blob is not None else None
    except ValueError:
        return None


def _is_last(it: _Found, lease: Lease | None) -> bool:
    """Return whether nothing is left of an output but the lease of the `gc` that deleted it."""
    return lease is not None and lease.is_collecting and it.files == 1


def _is_proven(
    said: Mapping[str, Any], record: Mapping[str, Any], attempt: Mapping[str, Any], id_: str
) -> bool:
    """Return whether marin-build made an output, as the target that its path names.

    Its record says so, or its newest attempt, or the lease of one that was interrupted. An `adopt`
    that was interrupted made nothing. What `gc` has begun to delete was proven before.
    """
    if said.get("status") == STATUS_DELETING:
        return True
    if record:
        return is_ours(record) and record.get("target") == id_
    if attempt:
        run = text_or_none(attempt.get("run")) if isinstance(attempt.get("run"), str) else None
        return run is not None and not run.startswith(ADOPTING) and attempt.get("target") == id_
    lease = said.get("lease")
    is_begun = lease is not None and lease.attempt > 0 and not lease.is_adopting
    return is_begun and said.get("status") == "RUNNING"
