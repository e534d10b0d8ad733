"""Inputs behind `http://` and `https://`: one object a URL, read as a stream."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from marin_build.errors import StoreAwayError, StoreError
from marin_build.store.bucket_objects import changed_meanwhile
from marin_build.store.forked_children import disarm_in_children
from marin_build.store.objects import StoredObject
from marin_build.store.remote import CONNECT_SECONDS
from marin_build.store.remote_errors import remote_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PIECE = 1 << 20
_SILENCE = 60
"""Seconds until an answer that has stopped is given up."""
_DISTRUST = 2.0
"""A page that is as young as this may change again within the second of its time."""
_OK, _BAD, _BUSY, _SERVERS_FAULT = 200, 400, 429, 500
_MISSING, _DENIED = frozenset({404, 410}), frozenset({401, 403})


class HttpObjects:
    """Reads what web servers serve; fsspec has the session, and what its configuration says."""

    def __init__(self) -> None:
        import fsspec

        self._fs: Any = fsspec.filesystem("http", use_listings_cache=False)
        disarm_in_children(self._fs)

    def look(self, url: str) -> StoredObject | None:
        """Return what the server says of a URL without reading it; None if it is not there."""
        found = self._try(url, self._head)
        if found is None:  # a server may refuse HEAD, and signed URLs are signed for GET
            found = self._try(url, self._head_of_get)
        status, reason, headers = found
        if status in _MISSING:
            return None
        _refuse(url, status, reason)
        return _described(headers)

    def objects(self, url: str) -> list[StoredObject]:
        """Return nothing: web servers have no folders, only pages that look like them."""
        del url
        return []

    def pieces(self, url: str, found: StoredObject) -> Iterator[bytes]:
        """Yield the bytes of an object, all of the version that was found, piece by piece."""
        response = self._try(url, self._get)
        try:
            _refuse(url, response.status, response.reason)
            if found.version and _described(response.headers).version != found.version:
                raise changed_meanwhile(url)
            while data := self._try(url, _next_piece, response):
                yield data
        finally:
            self._fs.loop.call_soon_threadsafe(response.close)

    def _try(self, url: str, call: Any, *args: Any) -> Any:
        from fsspec.asyn import sync

        try:
            return sync(self._fs.loop, call, *(args or (url,)))
        except Exception as error:
            raise remote_error("read", url, error) from error

    async def _head(self, url: str) -> tuple[int, str, Mapping[str, str]] | None:
        session = await self._fs.set_session()
        address = self._fs.encode_url(url)
        async with session.head(address, allow_redirects=True, **_asking()) as response:
            if response.status >= _BAD and response.status not in _MISSING:
                return None
            return response.status, response.reason, response.headers

    async def _head_of_get(self, url: str) -> tuple[int, str, Mapping[str, str]]:
        response = await self._get(url)
        response.close()  # without its body
        return response.status, response.reason, response.headers

    async def _get(self, url: str) -> Any:
        session = await self._fs.set_session()
        return await session.get(self._fs.encode_url(url), **_asking())


def _asking() -> dict[str, Any]:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=_SILENCE)
    return {"headers": {"Accept-Encoding": "identity"}, "timeout": timeout}


async def _next_piece(response: Any) -> bytes:
    data = bytearray()
    while len(data) < _PIECE and (more := await response.content.read(_PIECE)):
        data += more
    return bytes(data)


def _described(headers: Mapping[str, str]) -> StoredObject:
    length = headers.get("Content-Length", "")
    etag = headers.get("ETag", "")
    version = etag if etag and not etag.startswith("W/") else _time_version(headers)
    return StoredObject("", int(length) if length.isdecimal() else None, version)


def _time_version(headers: Mapping[str, str]) -> str:
    text = headers.get("Last-Modified", "")
    try:
        age = time.time() - parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        return ""
    return text if age > _DISTRUST else ""


def _refuse(url: str, status: int, reason: str) -> None:
    """Raise for a status that is no answer; the words are those of other stores."""
    if status == _OK:
        return
    said = [("reason", f"the server answers {status} {reason}".rstrip())]
    if status in _DENIED:
        raise StoreError(f"cannot read `{url}`: permission denied", facts=said)
    kind = StoreAwayError if status == _BUSY or status >= _SERVERS_FAULT else StoreError
    raise kind(f"cannot read `{url}`", facts=said)
