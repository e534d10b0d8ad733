"""The output of a step that did its work and was not committed: it is kept until a person decides.

The document of the attempt says what is to be committed, but for what the step returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.protocol.manifest import compare, manifest_of
from marin_build.store.base import File

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.store.base import Store


NOT_SAVED = "an earlier attempt did its work, but what it returned could not be saved"
_LOOKED_BACK = 8
"""Attempts that are read: those that were cut short before they began say nothing of the output."""


def kept_before(store: Store, output: str, attempt: int) -> Publication | None:
    """Return what an attempt before this one finished, if its output still lies there.

    Args:
        store: where the output lives.
        output: the output path.
        attempt: the number of this one.

    Raises:
        StoreError: the store cannot be read.

    """
    numbers = range(attempt - 1, max(0, attempt - 1 - _LOOKED_BACK), -1)
    blobs = store.get_many([layout.attempt_path(output, number) for number in numbers])
    for number, blob in zip(numbers, blobs, strict=True):
        try:
            said = Attempt.from_bytes(blob.data) if blob is not None else None
        except ValueError:
            return None  # as any attempt that is not readable: it is built again
        if said is not None and said.finished is not None:
            is_newest = number == attempt - 1
            return said.finished if is_newest or _lies_there(store, output, said.finished) else None
        if said is not None and said.result in ("failed", "succeeded"):
            return None
    return None


def _lies_there(store: Store, output: str, finished: Publication) -> bool:
    """Return whether an output is as it was: the attempts since then may have cleared it."""
    return not compare(files_of(finished), manifest_of(store, output))


def files_of(publication: Publication) -> list[File]:
    """Return the files of what is committed."""
    return [File(entry.path, entry.size) for entry in publication.manifest]


def way_on(name: str) -> str:
    """Return the hint on what to do about the kept output of a step."""
    return (
        f"its output is kept: `marin-build commit {name} --artifact FILE` commits it with what it "
        f"returned, as JSON; `marin-build apply --force {name}` builds it again"
    )
