"""The seam between marin-build and what holds bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Blob(NamedTuple):
    """The bytes at a path, and a token that changes whenever they do."""

    data: bytes
    version: str


class Store(Protocol):
    """Bytes by path, with conditional writes.

    Paths are absolute local paths or URLs. Every method raises StoreError when the store cannot
    be reached or refuses; a missing object is not an error.
    """

    @property
    def is_local(self) -> bool:
        """Whether calls return in microseconds: nothing is won by making them at once."""

    @property
    def conditional(self) -> bool:
        """Whether the conditional writes hold; without them no lease can be taken."""

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """Return the bytes at each path, read in one concurrent batch."""

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there; readers see the old bytes or the new. Return the version."""

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there; return the version, or None if something is."""

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there; return the new version, or None if another one is."""

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there; return whether it was."""

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; none if there is no such folder."""
