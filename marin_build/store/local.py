"""The local disk as a store, correct between processes of one machine.

Every write goes through a temporary file and `rename`. The conditional ones look and write under
an advisory lock (`flock`) on the parent folder, which the kernel frees if the process dies. A
version is a digest of the content: every document that is replaced conditionally carries a nonce
or a time, so none repeats.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.store.base import Blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLOCK = 1 << 16
_counter = itertools.count()


def _version(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class LocalStore:
    """A store of files; paths are absolute."""

    conditional = True
    is_local = True

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        data = self._read(path)
        return None if data is None else Blob(data, _version(data))

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        """Return the bytes at each path."""
        return [self._read(path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write through a temporary file and `rename`."""
        temporary = self._write_temporary(path, data)
        try:
            os.rename(temporary, path)
        except OSError as error:
            os.unlink(temporary)
            raise _store_error("write", path, error) from error
        return _version(data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Look and write under the folder's lock."""
        with self._locked(path, create=True):
            if os.path.lexists(path):
                return None
            return self.put(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Compare and write under the folder's lock."""
        with self._locked(path):
            current = self._read(path)
            if current is None or _version(current) != version:
                return None
            return self.put(path, data)

    def delete_if(self, path: str, version: str) -> bool:
        """Compare and delete under the folder's lock."""
        with self._locked(path):
            current = self._read(path)
            if current is None or _version(current) != version:
                return False
            os.unlink(path)
            return True

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _store_error("list", folder, error) from error

    def _read(self, path: str) -> bytes | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise _store_error("read", path, error) from error
        try:
            data = os.read(descriptor, _BLOCK)
            if len(data) == _BLOCK:
                while block := os.read(descriptor, _BLOCK):
                    data += block
            return data
        except OSError as error:
            raise _store_error("read", path, error) from error
        finally:
            os.close(descriptor)

    def _write_temporary(self, path: str, data: bytes) -> str:
        temporary = f"{path}.{os.getpid()}-{next(_counter)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            try:
                descriptor = os.open(temporary, flags, 0o644)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                descriptor = os.open(temporary, flags, 0o644)
            try:
                written = os.write(descriptor, data)
                while written < len(data):
                    written += os.write(descriptor, data[written:])
            except OSError:
                os.unlink(temporary)
                raise
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _store_error("write", path, error) from error
        return temporary

    @contextmanager
    def _locked(self, path: str, *, create: bool = False) -> Iterator[None]:
        """Hold the advisory lock of the folder of `path`; the kernel frees it if we die."""
        folder = os.path.dirname(path)
        try:
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                if not create:
                    yield  # there is nothing to guard
                    return
                os.makedirs(folder, exist_ok=True)
                descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _store_error("lock", path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise _store_error("lock", path, error) from error
        finally:
            os.close(descriptor)


def _store_error(verb: str, path: str, error: OSError) -> StoreError:
    return StoreError(f"cannot {verb} `{path}`: {(error.strerror or str(error)).lower()}")
