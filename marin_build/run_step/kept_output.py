"""The output of a step that did its work and was not committed: it is kept, and committed later.

The document of its attempt says what is to be committed. Where that could not be written either, a
file of this machine says it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt, FileEntry
from marin_build.protocol.manifest import compare, manifest_of
from marin_build.protocol.record_reader import readable_record
from marin_build.run_step.set_aside import set_aside_of
from marin_build.store.base import File

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.run_step.set_aside import SetAside
    from marin_build.store.base import Store


NOT_SAVED = "an earlier attempt did its work, but what it returned could not be saved"
_LOOKED_BACK = 8
"""Attempts that are read: those interrupted before they began say nothing of the output."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What an attempt finished.

    Args:
        publication: what is to be committed.
        is_complete: whether nothing is missing; else a person says what the step returned.
        is_listed: whether its files are known; else the store gave no answer when they were to be.

    """

    publication: Publication
    is_complete: bool
    is_listed: bool = True

    @property
    def unfinished(self) -> Publication | None:
        """What the next attempt says of it, if what the step returned is still missing."""
        return None if self.is_complete else self.publication


def kept_before(store: Store, output: str, attempt: int, fingerprint: str | None) -> Kept | None:
    """Return what an attempt before this one finished, if its output still lies there.

    Args:
        store: where the output lives.
        output: the output path.
        attempt: the number of this one.
        fingerprint: that of the target: what another identity left is not its output.

    Raises:
        StoreError: the store cannot be read.

    """
    if attempt <= 1:
        return None  # none was before it
    aside = set_aside_of(output)
    if aside is not None and aside.attempt < attempt and not _was_published(store, output, aside):
        kept = Kept(aside.publication, is_complete=True, is_listed=aside.is_listed)
        is_newest = aside.attempt == attempt - 1
        is_same = aside.publication.record.fingerprint == fingerprint
        if is_same and (is_newest or _lies_there(store, output, kept)):
            return kept
    numbers = range(attempt - 1, max(0, attempt - 1 - _LOOKED_BACK), -1)
    blobs = store.get_many([layout.attempt_path(output, number) for number in numbers])
    for number, blob in zip(numbers, blobs, strict=True):
        try:
            said = Attempt.from_bytes(blob.data) if blob is not None else None
        except ValueError:
            return None  # as any attempt that is not readable: it is built again
        if said is None:
            continue
        if said.publish is not None and _was_published(store, output, said):
            return None
        if (found := _kept_by(said, fingerprint)) is not None:
            is_newest = number == attempt - 1
            return found if is_newest or _lies_there(store, output, found) else None
        if said.result in ("failed", "succeeded"):
            return None
    return None


def _kept_by(said: Attempt, fingerprint: str | None) -> Kept | None:
    """Return what an attempt finished: its result could not be saved, or it was never sealed."""
    if said.finished is not None:
        return Kept(said.finished, is_complete=False)
    if said.publish is not None and said.publish.record.fingerprint == fingerprint:
        return Kept(said.publish, is_complete=True)
    return None


def _was_published(store: Store, output: str, kept: Attempt | SetAside) -> bool:
    """Return whether an attempt was committed, and a person took away its status since then."""
    blob = store.get(f"{output}/{layout.RECORD}")
    built = readable_record(blob.data if blob is not None else None)
    return built is not None and built.attempt >= kept.attempt


def _lies_there(store: Store, output: str, kept: Kept) -> bool:
    """Return whether an output is as it was: the attempts since then may have cleared it."""
    return kept.is_listed and not compare(files_of(kept.publication), manifest_of(store, output))


def listed(store: Store, output: str, kept: Kept) -> Publication:
    """Return what is to be committed, with the files that lie there where they are not known.

    Args:
        store: where the output lives.
        output: the output path.
        kept: what was finished.

    Raises:
        StoreError: the store cannot be read.

    """
    if kept.is_listed:
        return kept.publication
    files = manifest_of(store, output)
    counted = {"files": len(files), "bytes": sum(file.size for file in files)}
    update = {
        "record": kept.publication.record.model_copy(update=counted),
        "manifest": tuple(FileEntry(path=path, size=size) for path, size in files),
    }
    return kept.publication.model_copy(update=update)


def files_of(publication: Publication) -> list[File]:
    """Return the files of what is committed."""
    return [File(entry.path, entry.size) for entry in publication.manifest]


def way_on(name: str) -> str:
    """Return the hint on what to do about the kept output of a step."""
    return (
        f"its output is kept: `marin-build commit {name} --artifact FILE` commits it with what it "
        f"returned, as JSON; `marin-build apply --force {name}` builds it again"
    )


def way_to_commit(name: str) -> str:
    """Return the hint on what to do about the output of a step that the store did not take."""
    return (
        f"its output is kept: `marin-build commit {name}` commits it as soon as the store takes "
        f"it, and so does the next `marin-build apply`"
    )
