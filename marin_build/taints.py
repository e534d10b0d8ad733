"""Marks on built targets that somebody holds for bad: kept in the store until they are rebuilt.

A mark condemns one build, the one of the run it names: once another run has built the target, the
mark means nothing, whether or not somebody took it away. One listing finds all marks of a prefix.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.snapshot import Taint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.fingerprint import Targets
    from marin_build.store.base import Store


class TaintDocument(BaseModel):
    """A mark, as it is kept.

    Args:
        target: whose output is bad.
        root: the target whose taint this follows from; `target` itself where somebody said so.
        run: the run that built it; empty if no record of ours says.
        reason, by, at: why, who said so, and when.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    target: str
    root: str
    run: str
    reason: str
    by: str
    at: str


def read_taints(store: Store, targets: Targets, marked: Iterable[int]) -> dict[int, Taint]:
    """Return the marks that hold: those whose build is still the one they condemn.

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
        document = _parse(mark.data, path)
        if document.run == _run_of(record.data if record is not None else b""):
            is_root = document.root == targets.all[index].id
            found[index] = Taint(document.reason, document.by, document.at, is_root=is_root)
    return found


def _parse(data: bytes, path: str) -> TaintDocument:
    try:
        return TaintDocument.model_validate_json(data)
    except ValueError:
        raise CorruptStateError(
            f"the taint `{path}` is not readable",
            consequence="nothing was run: what it condemns is not known",
            hint="delete it, and taint the target again",
        ) from None


def _run_of(record: bytes) -> str:
    """Return the run that a record of ours names; empty for any other document, or none."""
    try:
        return str(json.loads(record)["run"])
    except (ValueError, KeyError, TypeError):
        return ""


def put_taints(
    store: Store,
    targets: Targets,
    condemned: Mapping[int, tuple[str, str]],
    taint: Taint,
) -> None:
    """Mark targets.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        condemned: index of each target -> the id of the root it follows from, and the run that
            built it, empty if no record of ours says.
        taint: why, who says so, and when.

    Raises:
        StoreError: a mark cannot be written.

    """
    for index, (root, run) in condemned.items():
        id_ = targets.all[index].id
        words = taint.reason if root == id_ else f"made from {root}: {taint.reason}"
        document = TaintDocument(
            target=id_, root=root, run=run, reason=words, by=taint.by, at=taint.at
        )
        path = layout.taint_path(targets.workspace.prefix, id_)
        store.put(path, document.model_dump_json().encode())


def remove_taints(store: Store, targets: Targets, indices: Iterable[int]) -> None:
    """Take marks away; what has none is no error."""
    prefix = targets.workspace.prefix
    store.delete([layout.taint_path(prefix, targets.all[index].id) for index in indices])


def follow(store: Store, targets: Targets, marked: Iterable[int], roots: set[str]) -> list[int]:
    """Return those of the marked targets whose marks follow from one of the roots."""
    indices = list(marked)
    paths = [layout.taint_path(targets.workspace.prefix, targets.all[i].id) for i in indices]
    return [
        index
        for index, path, blob in zip(indices, paths, store.get_many(paths), strict=True)
        if blob is not None and _parse(blob.data, path).root in roots
    ]
