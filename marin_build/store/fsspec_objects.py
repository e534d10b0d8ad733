"""Inputs of any other file system that fsspec knows."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.store.bucket_objects import changed_meanwhile
from marin_build.store.forked_children import disarm_in_children
from marin_build.store.objects import StoredObject
from marin_build.store.remote_errors import remote_error
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 1 << 20
_VERSIONS = ("ETag", "etag", "generation", "blob_id", "sha")
_OUR_SCHEMES = ("gs", "s3", "az", "abfs", "abfss", "http", "https", "hf", "memory", "file")


class FsspecObjects:
    """Reads through fsspec's file interface; from one thread, unless it is made for several."""

    def __init__(self, url: str) -> None:
        self._fs = _file_system(url)
        disarm_in_children(self._fs)
        self._turn: Any = nullcontext() if self._fs.async_impl else threading.Lock()

    def look(self, url: str) -> StoredObject | None:
        """Return what is known of one object without reading it; None if it is not there."""
        try:
            with self._turn:
                info = self._try(url, self._fs.info, url)
        except FileNotFoundError:
            return None
        return _described("", info) if info["type"] == "file" else None

    def objects(self, url: str) -> list[StoredObject]:
        """Return what is known of every object below a folder."""
        start = str(self._fs._strip_protocol(url)).rstrip("/") + "/"  # noqa: SLF001 - how it spells keys
        try:
            with self._turn:
                found = self._try(url, self._fs.find, url, detail=True)
        except FileNotFoundError:
            return []
        return [
            _described(str(name)[len(start) :], info)
            for name, info in found.items()
            if str(name).startswith(start)
        ]

    def pieces(self, url: str, found: StoredObject) -> Iterator[bytes]:
        """Yield the bytes of an object, all of the version that was found, piece by piece."""
        try:
            with self._turn, self._try(url, self._fs.open, url, "rb") as stream:
                while data := self._try(url, stream.read, _PIECE):
                    yield data
        except FileNotFoundError as error:
            raise changed_meanwhile(url) from error
        after = self.look(url)
        if after is None or (after.version, after.size) != (found.version, found.size):
            raise changed_meanwhile(url)

    def _try(self, url: str, call: Callable[..., Any], *args: Any, **rest: Any) -> Any:
        """Call, and say what went wrong in our words; that nothing is there is for the caller."""
        try:
            return call(*args, **rest)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise remote_error("read", url, error) from error


def _described(path: str, info: dict[str, Any]) -> StoredObject:
    version = next((str(info[key]) for key in _VERSIONS if info.get(key)), "")
    large = info.get("lfs") or {}  # of Hugging Face
    return StoredObject(
        path,
        info.get("size"),
        version,
        md5=str(info.get("md5Hash") or ""),
        crc32c=str(info.get("crc32c") or ""),
        sha256=str(large.get("sha256") or "") if isinstance(large, dict) else "",
    )


def _file_system(url: str) -> Any:
    import fsspec

    scheme = url.partition("://")[0]
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        package = getattr(error.__cause__, "name", None)
        raise StoreError(
            f"cannot open `{url}`: a package is not installed",
            facts=[("reason", str(error))],
            hint=f"pip install {package}" if package else None,
        ) from error
    except Exception as error:
        unknown = scheme not in fsspec.available_protocols()
        raise StoreError(
            f"cannot open `{url}`: "
            + (f"`{scheme}://` is no scheme that is known" if unknown else str(error)),
            hint=did_you_mean(scheme, _OUR_SCHEMES) if unknown else None,
        ) from error
