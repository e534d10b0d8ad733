"""The contents of an output, compared with the digests that its attempt recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.observe.digest_files import digest_file
from marin_build.protocol import layout
from marin_build.protocol.artifact import read_artifact
from marin_build.protocol.returned_value import digest_of_value
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.protocol.attempt_reader import Committed
    from marin_build.store.base import File, Store


@dataclass(frozen=True, slots=True)
class Contents:
    """The result of comparing the contents of an output.

    Args:
        rewritten: paths of files with other bytes than were committed.
        compared: how many files were compared.
        unknown: how many were not: no digest was recorded.

    """

    rewritten: tuple[str, ...] = ()
    compared: int = 0
    unknown: int = 0

    @property
    def note(self) -> str:
        """What was compared, in words."""
        if not self.unknown:
            return "contents compared"
        return (
            f"contents of {self.compared} of {self.compared + self.unknown} files compared: of the"
            " others no digest was recorded (`digests = true` in the configuration)"
        )


def compare_contents(
    store: Store, place: str, found: Sequence[File], committed: Committed, *, has_artifact: bool
) -> Contents:
    """Read the files of an output whose digests were recorded, and compare.

    Args:
        store: where it lies.
        place: the output, or where its data was adopted.
        found: the files that lie there.
        committed: what its attempt committed.
        has_artifact: whether a value that the step returned lies there.

    Raises:
        StoreError: a file cannot be read.

    """
    sizes = dict(committed.manifest)
    known = [path for path, size in found if path in sizes and size == sizes[path]]
    digested = [path for path in known if path in committed.digests]
    rewritten = [
        path
        for path in digested
        if digest_file(store, f"{place}/{path}") != committed.digests[path]
    ]
    if has_artifact and not _is_artifact(store, place, committed):
        rewritten.append(layout.ARTIFACT)
    compared = len(digested) + has_artifact
    return Contents(tuple(rewritten), compared, len(known) - len(digested))


def _is_artifact(store: Store, place: str, committed: Committed) -> bool:
    blob, value = store.get(f"{place}/{layout.ARTIFACT}"), read_artifact(store, place)
    # The whole file is what a step wrote itself; the value in it is what a step returned.
    found = [blob.data if blob is not None else b"", value[0] if value is not None else b"null"]
    expected = committed.artifact_digest or digest_of_value(committed.artifact)
    try:
        # Compared as text: NaN does not equal itself.
        return expected in [digest_of_value(parse_json(data)) for data in found]
    except ValueError:
        return False
