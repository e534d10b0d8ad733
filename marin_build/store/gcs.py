"""Cloud Storage through gcsfs: versions are generations, conditions are `ifGenerationMatch`."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreError
from marin_build.store.base import Blob, File
from marin_build.store.bounds import most_bytes, too_long
from marin_build.store.object_names import folder_prefix, split_url
from marin_build.store.objects import StoredObject
from marin_build.store.remote import CONNECT_SECONDS, READ_SECONDS, Body, RemoteStore
from marin_build.store.remote_errors import is_denied, status_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


_PAGE = 1000  # the most the service returns
_NO_SUCH_RANGE = 416
_FACTS = "name,size,generation,md5Hash,crc32c"


class GcsStore(RemoteStore):
    """Objects behind `gs://` URLs.

    A version is the object's generation: a new number with every write, whatever is written.
    Each method makes one request an object, or a page; one more where nothing was found in a bucket
    yet, since an object is missing where its bucket is. STORAGE_EMULATOR_HOST is honoured, without
    credentials.

    gcsfs tries a request up to six times, with growing pauses, after 408, 429, 5xx and lost
    connections. A conditional write that is sent again after its reply was lost meets its own work:
    it returns None, as `Store` allows.
    """

    login = "log in with `gcloud auth application-default login`"

    def __init__(self) -> None:
        super().__init__()
        self._found: set[str] = set()

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self.get_many([path])[0]

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path; if nothing was found in a bucket yet, look for that."""
        found = super().get_many(paths)
        if None in found:
            missing = {split_url(p)[0]: p for p, blob in zip(paths, found, strict=True) if not blob}
            for bucket in missing.keys() - self._found:
                self._request("read", missing[bucket], self._look_at_bucket)
                self._found.add(bucket)
        return found

    async def _look_at_bucket(self, fs: Any, path: str) -> None:
        """Ask for one name in a bucket; who may not list it may still read in it."""
        try:
            await _call(
                fs, "GET", "b/{}/o", split_url(path)[0], maxResults=1, fields="nextPageToken"
            )
        except Exception as error:
            if not is_denied(error):
                raise

    def _open(self) -> Any:
        # Else gcsfs asks over gRPC for a bucket's layout at the first use; we need no such answer.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import aiohttp
        from gcsfs.core import GCSFileSystem

        # It reports what it raises to its logger as well; without a handler that is stderr.
        logging.getLogger("gcsfs").addHandler(logging.NullHandler())
        emulated = os.environ.get("STORAGE_EMULATOR_HOST", "") not in {"", "default"}
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
        )
        return GCSFileSystem(
            token="anon" if emulated else None,
            use_listings_cache=False,
            requests_timeout=timeout,
        )

    async def _get(self, fs: Any, path: str) -> Blob | None:
        bucket, name = split_url(path)
        address = f"{fs._location}/download/storage/v1/b/{{}}/o/{{}}"  # noqa: SLF001 - the host
        most = most_bytes(path)
        part = {} if most is None else {"headers": {"Range": f"bytes=0-{most}"}}
        try:
            try:
                headers, data = await _call(fs, "GET", address, bucket, name, alt="media", **part)
            except Exception as error:
                if status_of(error) != _NO_SUCH_RANGE:
                    raise  # else the object is empty
                headers, data = await _call(fs, "GET", address, bucket, name, alt="media")
        except FileNotFoundError:  # gcsfs does not say whether of the bucket: see `get_many`
            return None
        self._found.add(bucket)
        generation = headers.get("X-Goog-Generation")
        if generation is None:
            raise StoreError(f"cannot read `{path}`: the answer names no generation")
        if most is not None and len(data) > most:
            return too_long(len(data), most, generation)
        return Blob(data, generation)

    async def _put(
        self, fs: Any, path: str, data: bytes, *, absent: bool = False, version: str | None = None
    ) -> str | None:
        bucket, name = split_url(path)
        address = f"{fs._location}/upload/storage/v1/b/{{}}/o"  # noqa: SLF001 - the host
        try:
            _, answer = await _call(
                fs,
                "POST",
                address,
                bucket,
                uploadType="media",
                name=name,
                ifGenerationMatch="0" if absent else version,
                headers={"Content-Type": "application/octet-stream"},
                data=Body(data),
            )
        except FileExistsError:  # what gcsfs makes of every 412
            return None
        self._found.add(bucket)
        return str(json.loads(answer)["generation"])

    async def _delete(self, fs: Any, path: str, *, version: str | None = None) -> bool:
        bucket, name = split_url(path)
        try:
            await _call(fs, "DELETE", "b/{}/o/{}", bucket, name, ifGenerationMatch=version)
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    async def _list(self, fs: Any, folder: str, *, deep: bool) -> list[File]:
        bucket, name = split_url(folder)
        prefix, delimiter = folder_prefix(name), None if deep else "/"
        return [
            File(item["name"][len(prefix) :], int(item["size"]))
            async for page in _pages(fs, bucket, prefix, delimiter, "items(name,size)")
            for item in page.get("items", [])
            if not item["name"].endswith("/")  # the marks some tools leave for folders
        ]

    async def _look(self, fs: Any, path: str) -> StoredObject | None:
        bucket, name = split_url(path)
        try:
            _, answer = await _call(fs, "GET", "b/{}/o/{}", bucket, name, fields=_FACTS)
        except FileNotFoundError:
            return None
        return _stored(json.loads(answer), name)

    async def _objects(self, fs: Any, folder: str) -> list[StoredObject]:
        bucket, name = split_url(folder)
        prefix = folder_prefix(name)
        return [
            _stored(item, prefix)
            async for page in _pages(fs, bucket, prefix, None, f"items({_FACTS})")
            for item in page.get("items", [])
        ]

    async def _piece(self, fs: Any, path: str, start: int, end: int, *, version: str) -> bytes:
        bucket, name = split_url(path)
        address = f"{fs._location}/download/storage/v1/b/{{}}/o/{{}}"  # noqa: SLF001 - the host
        headers = {"Range": f"bytes={start}-{end - 1}"}
        _, data = await _call(
            fs, "GET", address, bucket, name, alt="media", generation=version, headers=headers
        )
        return data

    async def _folders(self, fs: Any, start: str) -> list[str]:
        bucket, name = split_url(start)
        return [
            start + prefix[len(name) : -1]
            async for page in _pages(fs, bucket, name, "/", "prefixes")
            for prefix in page.get("prefixes", [])
        ]


def _stored(item: dict[str, Any], prefix: str) -> StoredObject:
    return StoredObject(
        item["name"][len(prefix) :],
        int(item["size"]),
        str(item["generation"]),
        md5=item.get("md5Hash", ""),
        crc32c=item.get("crc32c", ""),
    )


async def _pages(
    fs: Any,
    bucket: str,
    prefix: str,
    delimiter: str | None,
    fields: str,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the pages of a listing."""
    token: str | None = None
    while True:
        _, answer = await _call(
            fs,
            "GET",
            "b/{}/o",
            bucket,
            prefix=prefix,
            delimiter=delimiter,
            maxResults=_PAGE,
            pageToken=token,
            fields=f"nextPageToken,{fields}",
        )
        page = json.loads(answer)
        yield page
        token = page.get("nextPageToken")
        if token is None:
            return


async def _call(fs: Any, method: str, address: str, *names: str, **rest: Any) -> tuple[Any, bytes]:
    """Make one request; gcsfs quotes `names` into the address and drops parameters of None."""
    answer: tuple[Any, bytes] = await fs._call(method, address, *names, **rest)  # noqa: SLF001
    return answer
