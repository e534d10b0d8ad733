"""Conditional writes for stores that have none, by looking first: for `--no-lease`.

Between the look and the write another program may write. A user of `--no-lease` promises that no
other program does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.store.hurry import hurry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob, File, Store


class UnfencedStore:
    """A store whose conditions hold only while no other program writes."""

    conditional = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_local = store.is_local

    def hurry(self) -> None:
        """Wait for no request longer than a moment from now on; safe in a signal handler."""
        hurry(self._store)

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self._store.get(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path."""
        return self._store.get_many(paths)

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there."""
        return self._store.put(path, data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Look, and write if nothing is there."""
        return self._store.put(path, data) if self._store.get(path) is None else None

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Look, and write if `version` is there."""
        found = self._store.get(path)
        same = found is not None and found.version == version
        return self._store.put(path, data) if same else None

    def delete_if(self, path: str, version: str) -> bool:
        """Look, and delete if `version` is there."""
        found = self._store.get(path)
        if found is None or found.version != version:
            return False
        self._store.delete([path])
        return True

    def files(self, folder: str) -> Sequence[File]:
        """Return every file below a folder."""
        return self._store.files(folder)

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`."""
        return self._store.folders(start)

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return self._store.list(folder)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path."""
        self._store.delete(paths)
