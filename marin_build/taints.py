"""Marks on built targets that somebody holds for bad: kept in the store until they are rebuilt.

An entry of a mark condemns one build, the one of the run it names: once another run has built the
target, it means nothing, whether or not somebody took it away. One listing finds all marks of a
prefix. A target has one mark, with an entry for each taint that it follows from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.errors import CorruptStateError
from marin_build.plan import reached
from marin_build.protocol import layout
from marin_build.protocol.recorded import record_of_ours
from marin_build.reasons import Unreadable
from marin_build.snapshot import Taint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.fingerprint import Targets
    from marin_build.snapshot import Snapshot
    from marin_build.store.base import Store

_AT_ONCE = 32


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Document):
    """One taint.

    Args:
        root: the target that somebody named; that of the mark itself, or one it was made from.
        run: the run that built the target; empty if no record of ours says.
        reason, by, at: why, who said so, and when.

    """

    root: str
    run: str
    reason: str
    by: str
    at: str


class Mark(_Document):
    """All that is said against one target."""

    schema_version: Literal[1] = 1
    target: str
    entries: tuple[Entry, ...]


def read_taints(
    store: Store,
    targets: Targets,
    marked: Iterable[int],
    *,
    damaged: Callable[[int, Unreadable], object] | None = None,
) -> dict[int, Taint]:
    """Return the taints that hold: those whose build is still the one they condemn.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        marked: which of them may have a mark.
        damaged: is told of a mark that is not readable; None: that is an error.

    Raises:
        CorruptStateError: a mark is not readable.
        StoreError: the store cannot be read.

    """
    indices = list(marked)
    marks = [layout.taint_path(targets.workspace.prefix, targets.all[i].id) for i in indices]
    records = [f"{targets.all[i].output_path}/{layout.RECORD}" for i in indices]
    blobs = store.get_many([*marks, *records])
    found: dict[int, Taint] = {}
    for index, path, mark, record in zip(
        indices, marks, blobs[: len(marks)], blobs[len(marks) :], strict=True
    ):
        if mark is None:  # taken away meanwhile
            continue
        id_ = targets.all[index].id
        run = record_of_ours(record.data).get("run", "") if record is not None else ""
        try:
            entries = _parse(mark.data, path).entries
        except CorruptStateError:
            if damaged is None:
                raise
            damaged(index, Unreadable("taint", path))
            continue
        holding = [entry for entry in entries if entry.run == run]
        holding.sort(key=lambda entry: entry.root != id_)  # what was said of itself comes first
        if holding:
            found[index] = _taint(holding[0], id_)
    return found


def with_damaged_marks(
    targets: Targets,
    snapshot: Snapshot,
    requested: Iterable[int],
    damaged: Mapping[int, Unreadable],
) -> Snapshot:
    """Return a snapshot with the marks that are not readable, of what is built or pruned.

    What is to be built anyway no mark condemns.
    """
    seen = dict(snapshot.seen)
    for index in sorted(reached(targets, requested).intersection(damaged)):
        before = snapshot.of(index)
        if index not in seen or (before.is_built and before.damage is None):
            seen[index] = replace(before, damage=damaged[index])
    return replace(snapshot, seen=seen)


def _taint(entry: Entry, target: str) -> Taint:
    is_root = entry.root == target
    words = entry.reason if is_root else f"made from {entry.root}: {entry.reason}"
    return Taint(words, entry.by, entry.at, is_root=is_root)


def _parse(data: bytes, path: str) -> Mark:
    try:
        return Mark.model_validate_json(data)
    except ValueError:
        raise CorruptStateError(
            f"the taint `{path}` is not readable",
            consequence="nothing was run: what it condemns is not known",
            hint="delete it, and taint the target again",
        ) from None


def put_taints(
    store: Store,
    targets: Targets,
    condemned: Mapping[int, Iterable[tuple[str, str]]],
    taint: Taint,
) -> None:
    """Mark targets; what was said against them before stays.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        condemned: index of each target -> the ids of the roots it follows from, each with the run
            that built the target, empty if no record of ours says.
        taint: why, who says so, and when.

    Raises:
        CorruptStateError: a mark that is there is not readable.
        StoreError: a mark cannot be written.

    """

    def mark(index: int) -> None:
        fresh = [
            Entry(root=root, run=run, reason=taint.reason, by=taint.by, at=taint.at)
            for root, run in condemned[index]
        ]
        said = {(entry.root, entry.run) for entry in fresh}
        _change(
            store,
            targets,
            index,
            lambda old: [*(e for e in old if (e.root, e.run) not in said), *fresh],
        )

    _each(store, mark, condemned)


def remove_taints(
    store: Store, targets: Targets, marked: Iterable[int], roots: set[str]
) -> list[int]:
    """Take away what follows from some roots; return the targets against which nothing is left.

    Raises:
        CorruptStateError: a mark is not readable.
        StoreError: a mark cannot be written.

    """
    free: list[int] = []

    def unmark(index: int) -> None:
        changed, left = _change(
            store, targets, index, lambda old: [e for e in old if e.root not in roots]
        )
        if changed and not left:
            free.append(index)

    _each(store, unmark, marked)
    return sorted(free)


def forget_taints(store: Store, targets: Targets, rebuilt: Iterable[int]) -> None:
    """Take away the marks of targets that were rebuilt: they mean nothing any more."""
    prefix = targets.workspace.prefix
    store.delete([layout.taint_path(prefix, targets.all[index].id) for index in rebuilt])


def _each(store: Store, change: Callable[[int], None], indices: Iterable[int]) -> None:
    if store.is_local:
        for index in indices:
            change(index)
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(change, indices))


def _change(
    store: Store,
    targets: Targets,
    index: int,
    change: Callable[[tuple[Entry, ...]], Iterable[Entry]],
) -> tuple[bool, bool]:
    """Change a mark, whoever else changes it too; return whether it did, and if any is left."""
    id_ = targets.all[index].id
    path = layout.taint_path(targets.workspace.prefix, id_)
    while True:
        blob = store.get(path)
        old = _parse(blob.data, path).entries if blob is not None else ()
        entries = tuple(change(old))
        data = Mark(target=id_, entries=entries).model_dump_json().encode()
        if entries == old:
            return False, bool(old)
        if not entries:
            done: object = blob is None or store.delete_if(path, blob.version)
        elif blob is None:
            done = store.put_if_absent(path, data)
        else:
            done = store.replace_if(path, data, blob.version)
        if done:
            return True, bool(entries)
