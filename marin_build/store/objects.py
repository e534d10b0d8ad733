"""Objects as inputs: what a store says of them without reading them, and their bytes in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class StoredObject(NamedTuple):
    """An object, as its store describes it.

    Args:
        path: inside the folder that was listed, `/`-joined, ending with `/` for the mark of a
            folder; empty for the object that was asked about itself.
        size: bytes; None if the store does not say.
        version: another one for other bytes; empty if the store does not say.
        md5, crc32c: of the whole, in base64; sha256: in hex. Empty if the store does not say.
        may_know_sha256: whether asking for this object alone may tell its sha-256.

    """

    path: str
    size: int | None
    version: str
    md5: str = ""
    crc32c: str = ""
    sha256: str = ""
    may_know_sha256: bool = False


class ObjectReader(Protocol):
    """Reads what lies behind the URLs of one scheme; several threads may call it at once.

    Every method raises StoreError, in words, for what cannot be read.
    """

    def look(self, url: str) -> StoredObject | None:
        """Return what is known of one object without reading it; None if it is not there."""

    def objects(self, url: str) -> Sequence[StoredObject]:
        """Return what is known of every object below a folder, marks of folders among them."""

    def pieces(self, url: str, found: StoredObject) -> Iterator[bytes]:
        """Yield the bytes of an object, all of the version that was found, piece by piece."""
