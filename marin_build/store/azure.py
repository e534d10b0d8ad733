"""Azure Blob Storage through adlfs: versions are etags, conditions are `If-Match` of them."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from marin_build.store.base import Blob, File
from marin_build.store.bounds import most_bytes, too_long
from marin_build.store.object_names import folder_prefix, split_url
from marin_build.store.objects import StoredObject
from marin_build.store.remote import CONNECT_SECONDS, READ_SECONDS, RemoteStore
from marin_build.store.remote_errors import status_of

_PAGE = 5000  # the most the service returns
_PIECE = 1 << 28  # written in one request up to here (the service takes more)
_MISSING, _CONFLICT, _UNMET = 404, 409, 412


class AzureStore(RemoteStore):
    """Blobs behind `az://container/name` or `abfss://container@account.dfs.core.windows.net/name`.

    A version is the blob's etag, a new one with every write, whatever is written. Each method makes
    one request a blob, or a page; reading an empty blob makes two. The account comes from the URL,
    AZURE_STORAGE_CONNECTION_STRING or the other variables of adlfs.
    """

    login = "log in with `az login`, or set AZURE_STORAGE_CONNECTION_STRING"
    undecided = frozenset({429})

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def _open(self) -> Any:
        from adlfs import AzureBlobFileSystem

        account = AzureBlobFileSystem._get_kwargs_from_urls(self._url)  # noqa: SLF001 - in the URL
        environ = {k: v for k, v in os.environ.items() if k.startswith("AZURE_STORAGE_")}
        return _connect(os.getpid(), frozenset(account.items()), frozenset(environ.items()))

    def _forget_credentials(self, fs: Any) -> None:
        del fs
        _connect.cache_clear()

    async def _get(self, fs: Any, path: str) -> Blob | None:
        try:
            stream = await _blob(fs, path).download_blob()
            etag, most = _etag(stream.properties.etag), most_bytes(path)
            if most is not None and stream.size > most:
                return too_long(stream.size, most, etag)
            return Blob(await stream.readall(), etag)
        except Exception as error:
            if status_of(error) == _MISSING and not _no_container(error):
                return None
            raise

    async def _put(
        self, fs: Any, path: str, data: bytes, *, absent: bool = False, version: str | None = None
    ) -> str | None:
        try:
            answer = await _blob(fs, path).upload_blob(
                data, overwrite=not absent, **_condition(version)
            )
            return _etag(answer["etag"])
        except Exception as error:
            status = status_of(error)
            if status == _UNMET or (status == _CONFLICT and absent):
                return None
            raise

    async def _delete(self, fs: Any, path: str, *, version: str | None = None) -> bool:
        try:
            await _blob(fs, path).delete_blob(**_condition(version))
        except Exception as error:
            if status_of(error) in (_UNMET, _MISSING):
                return False
            raise
        return True

    async def _list(self, fs: Any, folder: str, *, deep: bool) -> list[File]:
        container, name = _split(folder)
        prefix = folder_prefix(name)
        client = fs.service_client.get_container_client(container)
        if deep:
            pages = client.list_blobs(prefix, results_per_page=_PAGE)
        else:
            pages = client.walk_blobs(prefix, delimiter="/", results_per_page=_PAGE)
        return [
            File(item.name[len(prefix) :], item.size)
            async for item in pages
            if not item.name.endswith("/")  # a folder, or the mark of one
        ]

    async def _look(self, fs: Any, path: str) -> StoredObject | None:
        try:
            found = await _blob(fs, path).get_blob_properties()
        except Exception as error:
            if status_of(error) == _MISSING:
                return None
            raise
        if _is_folder(found):
            return None
        return StoredObject("", found.size, _etag(found.etag))

    async def _objects(self, fs: Any, folder: str) -> list[StoredObject]:
        container, name = _split(folder)
        prefix = folder_prefix(name)
        client = fs.service_client.get_container_client(container)
        pages = client.list_blobs(prefix, include=["metadata"], results_per_page=_PAGE)
        return [
            StoredObject(
                item.name[len(prefix) :].rstrip("/") + "/" * _is_folder(item),
                item.size,
                _etag(item.etag),
            )
            async for item in pages
        ]

    async def _piece(self, fs: Any, path: str, start: int, end: int, *, version: str) -> bytes:
        stream = await _blob(fs, path).download_blob(start, end - start, **_condition(version))
        data: bytes = await stream.readall()
        return data

    async def _folders(self, fs: Any, start: str) -> list[str]:
        container, name = _split(start)
        client = fs.service_client.get_container_client(container)
        return [
            start + item.name[len(name) : -1]
            async for item in client.walk_blobs(name, delimiter="/", results_per_page=_PAGE)
            if item.name.endswith("/")
        ]


@cache
def _connect(_process: int, account: frozenset[Any], _environ: frozenset[Any]) -> Any:
    """Return the file system of an account, one for all stores of a process."""
    from adlfs import AzureBlobFileSystem
    from azure.storage.blob.aio import BlobServiceClient, ExponentialRetry

    fs = AzureBlobFileSystem(
        use_listings_cache=False,
        skip_instance_cache=True,  # since it is changed below
        **dict(account),
    )
    # adlfs finds the account and the credentials, but offers no say in retries: the first one
    # would come after 15 s. It closes what it finds in `service_client`.
    fs.service_client = BlobServiceClient(
        fs.service_client.url,
        credential=fs.service_client.credential,
        retry_policy=ExponentialRetry(
            initial_backoff=1, increment_base=2, retry_total=5, random_jitter_range=1
        ),
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_single_put_size=_PIECE,
    )
    return fs


def _split(path: str) -> tuple[str, str]:
    """Return container and name; `container@account` names the account too."""
    container, name = split_url(path)
    return container.partition("@")[0], name


def _blob(fs: Any, path: str) -> Any:
    return fs.service_client.get_blob_client(*_split(path))


def _is_folder(found: Any) -> bool:
    """Return whether properties are those of a folder of a hierarchical account, or of a mark."""
    is_folder = (found.metadata or {}).get("hdi_isfolder") == "true"
    return is_folder or found.name.endswith("/")


def _no_container(error: Exception) -> bool:
    return str(getattr(error, "error_code", "")).endswith(
        ("ContainerNotFound", "CONTAINER_NOT_FOUND")
    )


def _condition(version: str | None) -> dict[str, Any]:
    if version is None:
        return {}
    from azure.core import MatchConditions

    return {"etag": version, "match_condition": MatchConditions.IfNotModified}


def _etag(text: str) -> str:
    return text if text.startswith('"') else f'"{text}"'  # the emulator's lists leave them out
