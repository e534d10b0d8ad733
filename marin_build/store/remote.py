"""What the stores behind asynchronous fsspec file systems have in common.

fsspec is used for what it is good at: credentials, sessions and one event loop in a thread of its
own. Requests are made one level below its file interface, which knows neither versions nor
conditions.
"""

from __future__ import annotations

import asyncio
import io
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from marin_build.errors import StoreAwayError, StoreDeniedError
from marin_build.pauses import doubled, spread
from marin_build.store.forked_children import disarm_in_children
from marin_build.store.gather import gather
from marin_build.store.hurry import Hurry
from marin_build.store.object_names import split_url
from marin_build.store.remote_errors import is_broken, remote_error, status_of
from marin_build.store.slow_requests import waiting

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from marin_build.store.base import Blob, File
    from marin_build.store.objects import StoredObject


T = TypeVar("T")

CONCURRENCY = 100
"""Requests under way at once: as many connections as aiohttp opens by default."""
PATIENCE = 60.0
"""Seconds a request may take, the libraries' retries included."""
FURTHER_TRIES = 5
"""How often we ask again, where the library does not."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds before asking again, at most."""
SLOWEST = 1 << 20
"""Bytes a second below which a write is given up."""
CONNECT_SECONDS, READ_SECONDS = 10, 20
"""How long the libraries wait for a connection, and for the next bytes of an answer."""


class RemoteStore(ABC):
    """A store of objects; paths are URLs.

    A subclass makes single requests; here they are made at once, waited for and given up on.
    A bucket that is not there is an error, of reads too: all would be "never built" in it.
    """

    is_local = False
    conditional = True
    login: ClassVar[str]
    """The hint if the store does not let us in."""
    undecided: ClassVar[frozenset[int]] = frozenset()
    """Statuses after which a request has done nothing and its library does not ask again."""

    def __init__(self) -> None:
        self._opened: tuple[int, Any] | None = None
        self._hurry = Hurry()

    def hurry(self) -> None:
        """Wait for no request longer than a moment from now on; safe in a signal handler.

        What is given up raises StoreAwayError.
        """
        self._hurry.begin()

    @abstractmethod
    def _open(self) -> Any:
        """Return the file system of fsspec."""

    def _forget_credentials(self, fs: Any) -> None:
        """Have the next `_open` read credentials again, also those that a library keeps."""
        type(fs).clear_instance_cache()

    @abstractmethod
    async def _get(self, fs: Any, path: str) -> Blob | None:
        """Read one object: its bytes and their version, from one answer."""

    @abstractmethod
    async def _put(
        self, fs: Any, path: str, data: bytes, *, absent: bool = False, version: str | None = None
    ) -> str | None:
        """Write one object: if it is absent, if a version is there, or whatever is there.

        Return the new version, or None if the condition does not hold.
        """

    @abstractmethod
    async def _delete(self, fs: Any, path: str, *, version: str | None = None) -> bool:
        """Delete one object, if a version is there; return whether that was so."""

    @abstractmethod
    async def _list(self, fs: Any, folder: str, *, deep: bool) -> list[File]:
        """Return the files below a folder, or only those right in it; a page a request."""

    @abstractmethod
    async def _folders(self, fs: Any, start: str) -> list[str]:
        """Return the paths of the folders that begin with `start`; a page a request."""

    @abstractmethod
    async def _look(self, fs: Any, path: str) -> StoredObject | None:
        """Return what the store says of one object, without reading it."""

    @abstractmethod
    async def _objects(self, fs: Any, folder: str) -> list[StoredObject]:
        """Return what the store says of every object below a folder, marks of folders among them.

        A bucket that is not there is an error here.
        """

    @abstractmethod
    async def _piece(self, fs: Any, path: str, start: int, end: int, *, version: str) -> bytes:
        """Read bytes of an object, of one version of it."""

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self._request("read", path, self._get)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path; a path named twice is read once."""
        unique = list(dict.fromkeys(paths))
        found = dict(zip(unique, self._requests("read", unique, self._get), strict=True))
        return [found[path] for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there; return the version."""
        version = self._request("write", path, self._put, data)
        assert version is not None, "there was no condition"
        return version

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there; return the version, or None if something is.

        None also if the library sent the request twice, because the first reply was lost.
        """
        return self._request("write", path, self._put, data, absent=True)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there; return the new one, or None (as above)."""
        return self._request("write", path, self._put, data, version=version)

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there; return whether it was (False as above)."""
        return self._request("delete", path, self._delete, version=version)

    def files(self, folder: str) -> list[File]:
        """Return every file below a folder, sorted by path."""
        return sorted(self._request("list", folder, self._list, deep=True))

    def look(self, path: str) -> StoredObject | None:
        """Return what the store says of one object, without reading it; None if it is not there."""
        return self._request("read", path, self._look) if split_url(path)[1] else None

    def objects(self, folder: str) -> list[StoredObject]:
        """Return what the store says of every object below a folder, marks of folders among them.

        Raises:
            StoreError: there is no such bucket, as well.

        """
        return self._request("list", folder, self._objects)

    def piece(self, path: str, version: str, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end` of one version of an object.

        Raises:
            StoreError: that version is no longer there, as well.

        """
        return self._request("read", path, self._piece, start=start, end=end, version=version)

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path; what is not there is no error."""
        self._requests("delete", list(dict.fromkeys(paths)), self._delete)

    def _request(
        self,
        verb: str,
        path: str,
        request: Callable[..., Coroutine[Any, Any, T]],
        *args: bytes,
        **kwargs: object,
    ) -> T:
        fs = self._file_system(verb, path)
        seconds = PATIENCE + sum(map(len, args)) / SLOWEST

        async def run() -> T:
            return await self._guarded(
                verb, path, lambda: request(fs, path, *args, **kwargs), seconds
            )

        return self._wait(verb, (path,), fs, run, seconds - PATIENCE)

    def _requests(
        self, verb: str, paths: Sequence[str], request: Callable[..., Coroutine[Any, Any, T]]
    ) -> list[T]:
        if not paths:
            return []
        fs = self._file_system(verb, paths[0])

        async def one(path: str) -> T:
            return await self._guarded(verb, path, lambda: request(fs, path), PATIENCE)

        async def run() -> list[T]:
            return await gather(one, paths, CONCURRENCY)

        return self._wait(verb, paths, fs, run)

    async def _guarded(
        self, verb: str, path: str, request: Callable[[], Awaitable[T]], seconds: float
    ) -> T:
        """Wait for a request, for so long; whatever goes wrong with it names the path."""
        try:
            async with asyncio.timeout(seconds):
                for number in range(1, FURTHER_TRIES + 1):
                    try:
                        return await request()
                    except Exception as error:
                        if status_of(error) not in self.undecided and not is_broken(error):
                            raise
                    await asyncio.sleep(spread(doubled(number, FIRST_PAUSE, LONGEST_PAUSE)))
                return await request()
        except TimeoutError as error:
            raise StoreAwayError(
                f"cannot {verb} `{path}`", facts=[("reason", "the store does not answer")]
            ) from error
        except Exception as error:
            raise remote_error(verb, path, error, login=self.login) from error

    def _file_system(self, verb: str, path: str) -> Any:
        """Return the file system of this process: neither loop nor sessions survive a fork."""
        if self._opened is None or self._opened[0] != os.getpid():
            try:
                fs = self._open()
            except Exception as error:
                raise remote_error(verb, path, error, login=self.login) from error
            self._opened = (os.getpid(), fs)
            disarm_in_children(fs)
        return self._opened[1]

    def _wait(
        self,
        verb: str,
        paths: Sequence[str],
        fs: Any,
        run: Callable[[], Coroutine[Any, Any, T]],
        sending: float = 0.0,
    ) -> T:
        """Wait for requests, less long if the run is to end; forget credentials that do not hold.

        Args:
            verb, paths: what they do, for messages.
            fs: whose event loop makes them.
            run: makes them.
            sending: seconds that it takes to send what is written, on a slow line.

        """
        if not self._hurry.may_ask:
            raise _given_up(verb, paths[0])
        future = asyncio.run_coroutine_threadsafe(run(), fs.loop)
        try:
            with waiting(verb, paths) as meanwhile:
                has_ended = self._hurry.wait_for(future, sending, meanwhile)
            if has_ended:
                return future.result()
        except StoreDeniedError:
            if self._opened is not None and self._opened[1] is fs:
                self._opened = None
                self._forget_credentials(fs)
            raise
        finally:
            future.cancel()
        raise _given_up(verb, paths[0])

    def folders(self, start: str) -> list[str]:
        """Return the paths of the folders that begin with `start`, sorted."""
        return sorted(self._request("list", start, self._folders))

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder, sorted."""
        return sorted(file.path for file in self._request("list", folder, self._list, deep=False))


def _given_up(verb: str, path: str) -> StoreAwayError:
    said = [("reason", "the store does not answer, and the run is to end")]
    return StoreAwayError(f"cannot {verb} `{path}`", facts=said)


class Body(io.BytesIO):
    """The body of a request that may be sent again: clients close what they have sent."""

    def close(self) -> None:
        """Go back to the start."""
        self.seek(0)
