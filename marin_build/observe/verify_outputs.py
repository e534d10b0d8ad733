"""Compares outputs with what the attempts that built them committed."""

from __future__ import annotations

import enum
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoreError
from marin_build.observe.verify_contents import Contents, compare_contents
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt, recorded
from marin_build.protocol.manifest import FileChanges, compare, without_nested
from marin_build.protocol.status import STATUS_LET_GO, STATUS_SUCCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.snapshot import Observed, Snapshot
    from marin_build.protocol.attempt_reader import Committed
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Blob, File, Store


_LISTINGS_AT_ONCE = 32
_NO_CHANGES = FileChanges()


class Verdict(enum.Enum):
    """The result of comparing an output."""

    INTACT = "intact"
    DIFFERS = "differs"
    NOT_BUILT = "not built"
    UNKNOWN = "unknown"
    """There is nothing to compare with, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class Verified:
    """One target's output, compared.

    Args:
        index: which target.
        verdict: the result.
        place: where its data lies; the output path, unless it was adopted elsewhere.
        files, size: how many files lie there, and their bytes.
        changes: what differs, file by file.
        note: what else there is to say.
        manifest: the files that its attempt committed; None where that is not known.
        is_lost: whether data is gone that was built.
        rewritten: files of the right size with other contents, where those were compared.

    """

    index: int
    verdict: Verdict
    place: str
    files: int = 0
    size: int = 0
    changes: FileChanges = _NO_CHANGES
    note: str = ""
    manifest: tuple[File, ...] | None = None
    is_lost: bool = False
    rewritten: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Expected:
    """What an output should hold; `manifest` is None where only number and bytes are known."""

    index: int
    place: str
    manifest: tuple[File, ...] | None
    files: int
    size: int
    has_artifact: bool
    committed: Committed | None = None


def verify(
    store: Store,
    targets: Targets,
    snapshot: Snapshot,
    indices: Iterable[int],
    open_store: Callable[[str], Store],
    *,
    any_identity: bool = False,
    content: bool = False,
) -> list[Verified]:
    """Compare outputs with what the attempts that built them committed: names and sizes.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        snapshot: what was seen of these targets, with their records.
        indices: which targets.
        open_store: gives the store of a place where adopted data lies.
        content: compare contents, too, where digests were recorded.
        any_identity: compare what another identity built with what that left, too.

    Raises:
        StoreError: the attempts cannot be read.

    """
    wanted = list(indices)
    attempts = [_attempt_of(snapshot.of(index)) for index in wanted]
    paths = [
        layout.attempt_path(targets.all[index].output_path, attempt)
        for index, attempt in zip(wanted, attempts, strict=True)
        if attempt
    ]
    documents = dict(zip(paths, store.get_many(paths), strict=True))
    records = _records_without(store, documents)
    found: list[Verified | _Expected] = []
    for index, attempt in zip(wanted, attempts, strict=True):
        target = targets.all[index]
        path = layout.attempt_path(target.output_path, attempt or 0)
        blob = documents.get(path)
        data = blob.data if blob is not None else None
        seen = snapshot.of(index)
        is_other = seen.built is not None and seen.built.fingerprint != target.fingerprint
        if is_other and seen.damage is None and not any_identity:
            place, note = target.output_path, "it holds another target"
            found.append(Verified(index, Verdict.DIFFERS, place, note=note))
            continue
        committed = recorded(records.get(path))
        found.append(_expectation(index, target, seen, data, path, committed))

    def check(each: Verified | _Expected) -> Verified:
        if isinstance(each, Verified):
            return each
        is_here = each.place == targets.all[each.index].output_path
        return _check(store if is_here else open_store(each.place), each, content=content)

    if store.is_local and all(each.place == targets.all[each.index].output_path for each in found):
        return [check(each) for each in found]
    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
        return list(pool.map(check, found))


def _records_without(store: Store, documents: Mapping[str, Blob | None]) -> Mapping[str, bytes]:
    """Return path of an attempt that has no document -> the record beside its output."""
    missing = [path for path, blob in documents.items() if blob is None]
    outputs = [path.rpartition(f"/{layout.LOGS}/")[0] for path in missing]
    blobs = store.get_many([f"{output}/{layout.RECORD}" for output in outputs])
    return {p: blob.data for p, blob in zip(missing, blobs, strict=True) if blob is not None}


def _attempt_of(seen: Observed) -> int:
    """Return the attempt that built a target, or 0."""
    if seen.status == STATUS_SUCCESS:
        return seen.built.attempt if seen.built is not None else 0
    return seen.lease.attempt if seen.lease is not None and seen.lease.is_sealed else 0


def _expectation(
    index: int,
    target: Target,
    seen: Observed,
    document: bytes | None,
    path: str,
    committed: Committed | None,
) -> Verified | _Expected:
    """Return what an output should hold, or why that is not known."""
    output, built = target.output_path, seen.built
    if seen.damage is not None:
        note = f"its {seen.damage.what} is not readable: {seen.damage.path}"
        return Verified(index, Verdict.UNKNOWN, output, note=note)
    if seen.status == STATUS_LET_GO:
        note = "deleted once what needs it was built (temp=True)"
        return Verified(index, Verdict.NOT_BUILT, output, note=note)
    if seen.status != STATUS_SUCCESS and (seen.lease is None or not seen.lease.is_sealed):
        return Verified(index, Verdict.NOT_BUILT, output)
    if document is not None:
        try:
            committed = parse_attempt(document, path).committed
        except CorruptStateError as error:
            return Verified(index, Verdict.UNKNOWN, output, note=error.what)
    if committed is not None:
        place, manifest = committed.record.adopted_from or output, committed.manifest
        size = sum(file.size for file in manifest)
        is_published = seen.status == STATUS_SUCCESS and place == output
        has_artifact = is_published and committed.has_artifact
        return _Expected(index, place, manifest, len(manifest), size, has_artifact, committed)
    return _counted(index, output, built)


def _counted(index: int, output: str, built: Built | None) -> Verified | _Expected:
    """Return what a record alone says of an output: how many files, and their bytes."""
    if built is None or not (built.files or built.size):
        return Verified(
            index, Verdict.UNKNOWN, output, note="which files belong to it was not recorded"
        )
    place = built.adopted_from or output
    return _Expected(index, place, None, built.files, built.size, has_artifact=False)


def _check(store: Store, expected: _Expected, *, content: bool) -> Verified:
    """List a place, and compare; with `content`, also read its files."""
    index, place = expected.index, expected.place
    try:
        listed = store.files(place)
    except StoreError as error:
        return Verified(index, Verdict.UNKNOWN, place, note=error.what)
    found = [file for file in listed if not file.path.startswith(".")]
    size = sum(file.size for file in found)
    if expected.manifest is None:
        is_same = (len(found), size) == (expected.files, expected.size)
        note = "only number and bytes of its files were recorded"
        note += ", so contents were not compared" if content else ""
        if not is_same:
            note = f"{len(found)} files of {size} B, not {expected.files} of {expected.size} B"
        verdict = Verdict.INTACT if is_same else Verdict.DIFFERS
        is_lost = len(found) < expected.files or size < expected.size
        return Verified(index, verdict, place, len(found), size, note=note, is_lost=is_lost)
    changes = compare(expected.manifest, found)
    if changes.added:
        changes = replace(changes, added=without_nested(changes.added, listed))
    if expected.has_artifact and layout.ARTIFACT not in {file.path for file in listed}:
        changes = replace(changes, missing=(*changes.missing, layout.ARTIFACT))
    contents = Contents()
    if content and expected.committed is not None:
        has_artifact = expected.has_artifact and layout.ARTIFACT not in changes.missing
        try:
            contents = compare_contents(
                store, place, found, expected.committed, has_artifact=has_artifact
            )
        except StoreError as error:
            return Verified(index, Verdict.UNKNOWN, place, note=error.what)
    notes = [contents.note] if content else []
    spoiled = any(file.path == layout.CHANGED for file in listed)
    if spoiled:
        mark = store.get(f"{place}/{layout.CHANGED}")
        notes.append(mark.data.decode("utf-8", "replace") if mark is not None else "")
    differs = changes or contents.rewritten or spoiled
    verdict = Verdict.DIFFERS if differs else Verdict.INTACT
    return Verified(
        index,
        verdict,
        place,
        len(found),
        size,
        changes,
        "; ".join(notes),
        rewritten=contents.rewritten,
        manifest=expected.manifest,
        is_lost=changes.loses,
    )
