"""Marks on built targets that a person has declared bad: kept in the store until they are rebuilt.

An entry of a mark condemns one build, the one of the run it names: once another run has built the
target, it means nothing, whether or not a person removed it. One listing finds all marks of a
prefix. A target has one mark, with an entry for each taint that it follows from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.pipeline.targets import Targets
    from marin_build.store.base import Store


_AT_ONCE = 32


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(_Document):
    """One taint.

    Args:
        root: the target that a person named; that of the mark itself, or one it was made from.
        run: the run that built the target; empty if no record of ours says.
        reason, by, at: why, who said so, and when.

    """

    root: str
    run: str
    reason: str
    by: str
    at: str


class Mark(_Document):
    """All taints of one target."""

    schema_version: Literal[1] = 1
    target: str
    entries: tuple[Entry, ...]


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
    """Mark targets; the entries that their marks have already stay.

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
    """Remove the entries of some roots; return the targets whose marks have none left.

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
    """Change a mark, trying again if another run changed it at the same time.

    Returns:
        Whether it changed, and whether any entry is left.

    """
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


@dataclass(frozen=True, slots=True)
class Taint:
    """A person has declared a built target bad.

    Args:
        reason, by, at: why, who said so, and when.
        is_root: whether it was said of this target, not of something it was made from.

    """

    reason: str
    by: str
    at: str
    is_root: bool = True
