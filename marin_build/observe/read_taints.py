"""Reads the marks on tainted targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.graph_shape import upstream
from marin_build.protocol import layout
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.taints import Entry, Taint, _parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.snapshot import Snapshot
    from marin_build.store.base import Store


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
        damaged: called with a mark that is not readable; None: such a mark is an error.

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
        built = readable_record(record.data if record is not None else None)
        run = built.run if built is not None else ""
        try:
            taint = holding_taint(mark.data, path, id_, run)
        except CorruptStateError:
            if damaged is None:
                raise
            damaged(index, Unreadable("taint", path))
            continue
        if taint is not None:
            found[index] = taint
    return found


def holding_taint(mark: bytes, path: str, target: str, run: str) -> Taint | None:
    """Return the taint of a target that condemns the build by a run; None if none does.

    Args:
        mark: the bytes of the target's mark.
        path: where it lies.
        target: the target's id.
        run: the run that built it; empty if no record of ours says.

    Raises:
        CorruptStateError: the mark is not readable.

    """
    holding = [entry for entry in _parse(mark, path).entries if entry.run == run]
    holding.sort(key=lambda entry: entry.root != target)  # its own mark first
    return _taint(holding[0], target) if holding else None


def with_damaged_marks(
    targets: Targets,
    snapshot: Snapshot,
    requested: Iterable[int],
    damaged: Mapping[int, Unreadable],
) -> Snapshot:
    """Return a snapshot that notes unreadable marks at targets that are built or pruned.

    For a target that is to be built anyway, a mark changes nothing.
    """
    seen = dict(snapshot.seen)
    for index in sorted(upstream(targets, requested).intersection(damaged)):
        before = snapshot.of(index)
        if index not in seen or (before.is_built and before.damage is None):
            seen[index] = replace(before, damage=damaged[index])
    return replace(snapshot, seen=seen)


def _taint(entry: Entry, target: str) -> Taint:
    is_root = entry.root == target
    words = entry.reason if is_root else f"made from {entry.root}: {entry.reason}"
    return Taint(words, entry.by, entry.at, is_root=is_root)
