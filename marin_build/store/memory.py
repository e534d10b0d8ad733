"""A store in memory: for tests, simulations, and one process."""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING

from marin_build.store.base import Blob, File
from marin_build.store.bounds import most_bytes, too_long

if TYPE_CHECKING:
    from collections.abc import Sequence


class MemoryStore:
    """Bytes in a dictionary, safe between threads. Versions count the writes."""

    is_local = True
    conditional = True

    def __init__(self) -> None:
        self._blobs: dict[str, Blob] = {}
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return _bounded(self._blobs.get(path), path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path."""
        return [_bounded(self._blobs.get(path), path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there; return the version."""
        with self._lock:
            return self._write(path, data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there; return the version, or None if something is."""
        with self._lock:
            return None if path in self._blobs else self._write(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there; return the new version, or None if another one is."""
        with self._lock:
            return self._write(path, data) if self._is_at(path, version) else None

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there; return whether it was."""
        with self._lock:
            held = self._is_at(path, version)
            if held:
                del self._blobs[path]
            return held

    def files(self, folder: str) -> list[File]:
        """Return every file below a folder, sorted by path."""
        start = folder.rstrip("/") + "/"
        with self._lock:
            return sorted(
                File(path[len(start) :], len(blob.data))
                for path, blob in self._blobs.items()
                if path.startswith(start)
            )

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path; what is not there is no error."""
        with self._lock:
            for path in paths:
                self._blobs.pop(path, None)

    def _write(self, path: str, data: bytes) -> str:
        version = str(next(self._versions))
        self._blobs[path] = Blob(bytes(data), version)
        return version

    def _is_at(self, path: str, version: str) -> bool:
        found = self._blobs.get(path)
        return found is not None and found.version == version

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`."""
        with self._lock:
            inside = {p[len(start) :] for p in self._blobs if p.startswith(start)}
        return sorted({start + rest.partition("/")[0] for rest in inside if "/" in rest})

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder, sorted."""
        return [file.path for file in self.files(folder) if "/" not in file.path]


def _bounded(found: Blob | None, path: str) -> Blob | None:
    most = most_bytes(path) if found is not None else None
    if found is None or most is None or len(found.data) <= most:
        return found
    return too_long(len(found.data), most, found.version)
