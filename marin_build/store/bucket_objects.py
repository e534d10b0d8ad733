"""Inputs in the buckets that outputs can lie in, too: read in pieces, several at once."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.store.remote_errors import status_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from marin_build.store.objects import StoredObject
    from marin_build.store.remote import RemoteStore

PIECE = 4 << 20
"""Bytes that one request asks for."""
_AHEAD = 4
"""Requests for one object under way at once, so many pieces are held."""
_GONE = frozenset({404, 412})


class BucketObjects:
    """Reads objects through a store."""

    def __init__(self, store: RemoteStore) -> None:
        self._store = store

    def look(self, url: str) -> StoredObject | None:
        """Return what is known of one object without reading it; None if it is not there."""
        return self._store.look(url)

    def objects(self, url: str) -> Sequence[StoredObject]:
        """Return what is known of every object below a folder, marks of folders among them."""
        return self._store.objects(url)

    def pieces(self, url: str, found: StoredObject) -> Iterator[bytes]:
        """Yield the bytes of an object, all of the version that was found, piece by piece."""
        size = found.size or 0
        starts = iter(range(0, size, PIECE))
        pool = ThreadPoolExecutor(_AHEAD)
        under_way: deque[Future[bytes]] = deque()

        def ask() -> None:
            if (start := next(starts, None)) is not None:
                end = min(start + PIECE, size)
                under_way.append(pool.submit(self._piece, url, found.version, start, end))

        is_done = False
        try:
            for _ in range(_AHEAD):
                ask()
            while under_way:
                data = under_way.popleft().result()
                ask()
                yield data
            is_done = True
        finally:
            pool.shutdown(wait=is_done, cancel_futures=True)

    def _piece(self, url: str, version: str, start: int, end: int) -> bytes:
        try:
            data = self._store.piece(url, version, start, end)
        except StoreError as error:
            if error.__cause__ is not None and _is_gone(error.__cause__):
                raise changed_meanwhile(url) from error
            raise
        if len(data) != end - start:
            raise StoreError(
                f"cannot read `{url}`: {end - start} bytes were asked for, {len(data)} came"
            )
        return data


def changed_meanwhile(url: str) -> StoreError:
    """Return the error for an input that is written to while it is read."""
    return StoreError(f"cannot read `{url}`: it changed while it was read", hint="try again")


def _is_gone(error: BaseException) -> bool:
    return isinstance(error, FileNotFoundError | FileExistsError) or status_of(error) in _GONE
