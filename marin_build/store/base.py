"""The seam between marin-build and what holds bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Blob(NamedTuple):
    """The bytes at a path, and a token that is another one after every write."""

    data: bytes
    version: str


class File(NamedTuple):
    """A file of a folder: its path inside the folder, `/`-joined, and its size in bytes."""

    path: str
    size: int


class Store(Protocol):
    """Bytes by path, with conditional writes.

    Paths are absolute local paths or URLs of one scheme. Every method raises StoreError when the
    store cannot be reached or refuses; a missing object is not an error. A conditional write whose
    reply was lost may say that its condition did not hold although it was written: a caller that
    must know reads again and recognises its own bytes.
    """

    @property
    def is_local(self) -> bool:
        """Whether calls return in microseconds, so that concurrent calls gain nothing."""

    @property
    def conditional(self) -> bool:
        """Whether the conditional writes hold; without them no lease can be taken."""

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path, read in one concurrent batch."""

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there; readers see the old bytes or the new. Return the version."""

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there; return the version, or None if something is."""

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there; return the new version, or None if another one is."""

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there; return whether it was."""

    def files(self, folder: str) -> Sequence[File]:
        """Return every file below a folder, sorted by path; none if there is no folder."""

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`, sorted, and none inside them.

        Args:
            start: a folder and the beginning of names in it: `gs://bucket/out/tokenize_`.

        """

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder, sorted; none if there is no folder."""

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path, whatever it is; what is not there is no error."""


GUARD = ".guard"
"""The file that is locked on file systems that several machines mount."""
