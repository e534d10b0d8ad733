"""S3 through s3fs: versions are etags, conditions are `If-None-Match: *` and `If-Match`."""

from __future__ import annotations

import base64
from typing import Any

from marin_build.store.base import Blob, File
from marin_build.store.bounds import most_bytes, too_long
from marin_build.store.object_names import folder_prefix, split_url
from marin_build.store.objects import StoredObject
from marin_build.store.remote import CONCURRENCY, CONNECT_SECONDS, READ_SECONDS, RemoteStore
from marin_build.store.remote_errors import is_broken, status_of

_PAGE = 1000  # the most the service returns
_TRIES = 6
_MISSING, _UNMET = 404, 412


class S3Store(RemoteStore):
    """Objects behind `s3://` URLs.

    A version is the object's etag. For objects written in one piece that is a digest of the bytes:
    writing the same bytes again gives the same version (except under SSE-KMS), and a condition then
    means "no other bytes are there now". That is enough because every document which is replaced
    conditionally carries a nonce or a time, so that no two writers write the same bytes.

    Each method makes one request an object, or a page. Conditional deletes need a service that
    honours `If-Match` on DeleteObject; AWS does. One that ignored it would delete whatever is
    there, and one that ignores conditions on PutObject has no leases worth the name: see
    docs/adr/0007. AWS_ENDPOINT_URL and the other variables of AWS are honoured.
    """

    login = "check the credentials with `aws sts get-caller-identity`"
    # 409: another conditional write was under way, and which of the two holds was not decided.
    undecided = frozenset({409, 429})

    def _open(self) -> Any:
        from s3fs import S3FileSystem

        return S3FileSystem(
            use_listings_cache=False,
            config_kwargs={
                "connect_timeout": CONNECT_SECONDS,
                "read_timeout": READ_SECONDS,
                "max_pool_connections": CONCURRENCY,
                "retries": {"mode": "standard", "total_max_attempts": _TRIES},
            },
        )

    async def _get(self, fs: Any, path: str) -> Blob | None:
        bucket, name = split_url(path)
        client = await fs.set_session()
        try:
            return await _read(client, most_bytes(path), Bucket=bucket, Key=name)
        except Exception as error:
            if status_of(error) == _MISSING and not _no_bucket(error):
                return None
            # The body of an error may be broken: an answer without a body says what it was.
            if is_broken(error) and await self._look(fs, path) is None:
                return None
            raise

    async def _put(
        self, fs: Any, path: str, data: bytes, *, absent: bool = False, version: str | None = None
    ) -> str | None:
        bucket, name = split_url(path)
        client = await fs.set_session()
        conditions = {"IfNoneMatch": "*"} if absent else {"IfMatch": version} if version else {}
        try:
            answer = await client.put_object(Bucket=bucket, Key=name, Body=data, **conditions)
        except Exception as error:
            status = status_of(error)
            if status == _UNMET or (status == _MISSING and version and not _no_bucket(error)):
                return None
            raise
        return str(answer["ETag"])

    async def _delete(self, fs: Any, path: str, *, version: str | None = None) -> bool:
        bucket, name = split_url(path)
        client = await fs.set_session()
        condition = {"IfMatch": version} if version else {}
        try:
            await client.delete_object(Bucket=bucket, Key=name, **condition)
        except Exception as error:
            if status_of(error) in (_UNMET, _MISSING):
                return False
            raise
        return True

    async def _list(self, fs: Any, folder: str, *, deep: bool) -> list[File]:
        bucket, name = split_url(folder)
        prefix = folder_prefix(name)
        client = await fs.set_session()
        rest = {} if deep else {"Delimiter": "/"}
        found: list[File] = []
        while True:
            page = await client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=_PAGE, **rest)
            found += [
                File(item["Key"][len(prefix) :], item["Size"])
                for item in page.get("Contents", [])
                if not item["Key"].endswith("/")  # the marks some tools leave for folders
            ]
            if not page.get("IsTruncated"):
                return found
            rest["ContinuationToken"] = page["NextContinuationToken"]

    async def _look(self, fs: Any, path: str) -> StoredObject | None:
        bucket, name = split_url(path)
        client = await fs.set_session()
        try:
            found = await client.head_object(Bucket=bucket, Key=name, ChecksumMode="ENABLED")
        except Exception as error:
            if status_of(error) == _MISSING:
                return None
            raise
        return StoredObject(
            "", found["ContentLength"], found["ETag"], sha256=_sha256_of_the_whole(found)
        )

    async def _objects(self, fs: Any, folder: str) -> list[StoredObject]:
        bucket, name = split_url(folder)
        prefix = folder_prefix(name)
        client = await fs.set_session()
        found: list[StoredObject] = []
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": _PAGE}
        )
        async for page in pages:
            found += [
                StoredObject(
                    item["Key"][len(prefix) :],
                    item["Size"],
                    item["ETag"],
                    may_know_sha256="SHA256" in item.get("ChecksumAlgorithm", ()),
                )
                for item in page.get("Contents", [])
            ]
        return found

    async def _piece(self, fs: Any, path: str, start: int, end: int, *, version: str) -> bytes:
        bucket, name = split_url(path)
        client = await fs.set_session()
        piece = f"bytes={start}-{end - 1}"
        return (
            await _read(client, None, Bucket=bucket, Key=name, Range=piece, IfMatch=version)
        ).data

    async def _folders(self, fs: Any, start: str) -> list[str]:
        bucket, name = split_url(start)
        client = await fs.set_session()
        rest: dict[str, str] = {}
        found: list[str] = []
        while True:
            page = await client.list_objects_v2(
                Bucket=bucket, Prefix=name, Delimiter="/", MaxKeys=_PAGE, **rest
            )
            prefixes = page.get("CommonPrefixes", [])
            found += [start + prefix["Prefix"][len(name) : -1] for prefix in prefixes]
            if not page.get("IsTruncated"):
                return found
            rest["ContinuationToken"] = page["NextContinuationToken"]


async def _read(client: Any, most: int | None, **wanted: str) -> Blob:
    """Read an object or a part of it; the library asks again for answers, not broken bodies.

    Of an object of more bytes than `most` nothing is read.
    """
    for attempt in range(1, _TRIES + 1):
        answer = await client.get_object(**wanted)
        try:
            async with answer["Body"] as stream:
                size = answer.get("ContentLength", 0)
                if most is not None and size > most:
                    return too_long(size, most, answer["ETag"])
                return Blob(await stream.read(), answer["ETag"])
        except Exception:
            if attempt == _TRIES:
                raise
    raise AssertionError


def _sha256_of_the_whole(found: dict[str, Any]) -> str:
    """Return the sha-256 of an object's bytes, if the service vouches for it; not of its parts."""
    checksum = found.get("ChecksumSHA256", "")
    if "-" in checksum or found.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return ""
    return base64.b64decode(checksum).hex()


def _no_bucket(error: Exception) -> bool:
    response = getattr(error, "response", {})
    return bool(response.get("Error", {}).get("Code") == "NoSuchBucket")
