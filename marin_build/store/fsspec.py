"""Any other file system fsspec knows: read and written, but without conditions."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.store.base import Blob, File
from marin_build.store.bounds import most_bytes, too_long
from marin_build.store.remote_errors import remote_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class FsspecStore:
    """Files behind URLs of one scheme, enough to plan over them.

    A version is a digest of the content, since fsspec has none for every file system: it says
    whether the bytes are others, not whether they were written again. The conditional methods raise
    StoreError.
    """

    is_local = False
    conditional = False

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: tuple[int, Any] | None = None
        self._file_system()  # so that an unknown scheme is found before anything is done

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path: in one batch if the file system is asynchronous."""
        if not paths:
            return []
        fs = self._file_system()
        keys = [fs._strip_protocol(path) for path in paths]  # noqa: SLF001 - what `cat` answers with
        found = self._try("read", paths[0], fs.cat, list(dict.fromkeys(paths)), on_error="return")
        if isinstance(found, bytes):  # some answer a list of one like a single path
            found = dict.fromkeys(keys, found)
        return [self._blob(path, found.get(key)) for path, key in zip(paths, keys, strict=True)]

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there; return the version."""
        try:
            self._try("write", path, self._file_system().pipe_file, path, data)
        except FileNotFoundError as error:
            raise remote_error("write", path, error) from error
        return _version(data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Refuse: there is no conditional write."""
        raise _unconditional(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Refuse: there is no conditional write."""
        raise _unconditional(path, data, version)

    def delete_if(self, path: str, version: str) -> bool:
        """Refuse: there is no conditional write."""
        raise _unconditional(path, version)

    def files(self, folder: str) -> list[File]:
        """Return every file below a folder, sorted by path."""
        fs = self._file_system()
        start = str(fs._strip_protocol(folder)).rstrip("/") + "/"  # noqa: SLF001
        try:
            found = self._try("list", folder, fs.find, folder, detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            File(str(name)[len(start) :], int(info["size"] or 0))
            for name, info in found.items()
            if str(name).startswith(start)
        )

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path, one after the other; what is not there is no error."""
        fs = self._file_system()
        for path in dict.fromkeys(paths):
            try:
                self._try("delete", path, fs.rm_file, path)
            except FileNotFoundError:
                continue

    def folders(self, start: str) -> list[str]:
        """Return the paths of the folders that begin with `start`."""
        parent, _, head = start.rpartition("/")
        try:
            found = self._try("list", parent, self._file_system().ls, parent, detail=True)
        except FileNotFoundError:
            return []
        names = {
            str(info["name"]).rstrip("/").rpartition("/")[2]
            for info in found
            if info["type"] == "directory"
        }
        return sorted(f"{parent}/{name}" for name in names if name.startswith(head))

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder, sorted."""
        try:
            found = self._try("list", folder, self._file_system().ls, folder, detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            str(info["name"]).rpartition("/")[2] for info in found if info["type"] == "file"
        )

    def _try(self, verb: str, path: str, call: Callable[..., Any], *args: Any, **rest: Any) -> Any:
        """Call, and turn errors into StoreErrors, but FileNotFoundError is for the caller."""
        try:
            return call(*args, **rest)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise remote_error(verb, path, error) from error

    def _blob(self, path: str, found: object) -> Blob | None:
        if isinstance(found, bytes):
            most = most_bytes(path)  # it was read whole: a bound of its own would be a request more
            if most is not None and len(found) > most:
                return too_long(len(found), most, _version(found))
            return Blob(found, _version(found))
        if found is None or isinstance(found, FileNotFoundError):
            return None
        assert isinstance(found, Exception)
        raise remote_error("read", path, found) from found

    def _file_system(self) -> Any:
        """Return the file system of this process: none survives a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            import fsspec

            scheme = self._url.partition("://")[0]
            try:
                fs = fsspec.filesystem(scheme, use_listings_cache=False)
            except Exception as error:
                raise StoreError(
                    f"cannot open the prefix `{self._url}`: {error}",
                    consequence="nothing was run",
                    hint="a prefix is a folder, or a URL with gs://, s3:// or az://",
                ) from error
            self._opened = (os.getpid(), fs)
        return self._opened[1]


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unconditional(path: str, *_: object) -> StoreError:
    scheme = path.partition("://")[0]
    return StoreError(
        f"cannot take a lease at `{path}`: leases need conditional writes, "
        f"and `{scheme}://` has none",
        consequence="nothing was run",
        hint="use a local prefix, `gs://`, `s3://` or `az://`; or, if no other run builds there, "
        "go without leases: `--no-lease`",
    )
