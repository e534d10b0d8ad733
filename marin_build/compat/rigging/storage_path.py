"""StoragePath: a path or URL in its parts, so that joins have exactly one separator."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from marin_build.compat.rigging.files import open_url, url_to_fs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_WITHOUT_AUTHORITY = frozenset({"mirror"})
"""Schemes after which the path begins at once: `mirror://documents/x`."""


@dataclass(frozen=True, init=False)
class StoragePath:
    """A place in a store.

    Args:
        value: a path, a URL or another StoragePath; or its parts:
        scheme: `gs`; None for a path of this machine.
        netloc: the bucket.
        segments: what follows, without separators.
        rooted: a separator stands before the segments.

    """

    scheme: str | None
    netloc: str
    segments: tuple[str, ...]
    rooted: bool

    def __init__(
        self,
        value: str | StoragePath | None = None,
        *,
        scheme: str | None = None,
        netloc: str = "",
        segments: tuple[str, ...] = (),
        rooted: bool = True,
    ) -> None:
        parts = (scheme, netloc, tuple(segments), rooted)
        if isinstance(value, StoragePath):
            parts = (value.scheme, value.netloc, value.segments, value.rooted)
        elif value is not None:
            parts = _parts(value)
        for name, part in zip(("scheme", "netloc", "segments", "rooted"), parts, strict=True):
            object.__setattr__(self, name, part)

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return the parts of a path or URL."""
        return cls(value)

    @staticmethod
    def normalize(value: str) -> str:
        """Return a path or URL with single separators, and none at its end."""
        return str(StoragePath(value))

    def __truediv__(self, relative: str) -> Self:
        if "://" in relative or relative.startswith("/"):
            raise ValueError(f"cannot join {relative!r} to {self}: it is not relative")
        return replace(self, segments=(*self.segments, *_segments(relative)))

    def __str__(self) -> str:
        between = "/" if self.rooted and (self.segments or self.scheme is None) else ""
        root = "" if self.scheme is None else f"{self.scheme}://{self.netloc}"
        return f"{root}{between}{self.key}"

    def relative_to(self, base: StoragePath) -> str:
        """Return the path from `base` to this one.

        Raises:
            ValueError: it is not under it.

        """
        length = len(base.segments)
        own, others = ((p.scheme, p.netloc, p.rooted, p.segments[:length]) for p in (self, base))
        if own != others:
            raise ValueError(f"{self} is not under {base}")
        return "/".join(self.segments[length:])

    @property
    def bucket(self) -> str:
        """The bucket; empty on this machine."""
        return self.netloc

    @property
    def key(self) -> str:
        """The path in the bucket."""
        return "/".join(self.segments)

    @property
    def name(self) -> str:
        """The last segment; empty at the root."""
        return self.segments[-1] if self.segments else ""

    @property
    def parent(self) -> Self:
        """The folder that it is in; the root is its own."""
        return replace(self, segments=self.segments[:-1])

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return self.scheme in {None, "file"}

    @property
    def is_remote(self) -> bool:
        """Whether it is in a store."""
        return not self.is_local

    def exists(self) -> bool:
        """Return whether something is there."""
        return bool(self._ask("exists"))

    def isdir(self) -> bool:
        """Return whether it is a folder."""
        return bool(self._ask("isdir"))

    def isfile(self) -> bool:
        """Return whether it is a file."""
        return bool(self._ask("isfile"))

    def size(self) -> int:
        """Return the bytes of a file."""
        return int(self._ask("size"))

    def mtime(self) -> datetime:
        """Return when it was written."""
        found: datetime = self._ask("modified")
        return found

    def mkdirs(self, *, exist_ok: bool = True) -> None:
        """Make a folder; buckets of Amazon need none."""
        if self.scheme != "s3":
            self._ask("makedirs", exist_ok=exist_ok)

    def ls(self) -> list[StoragePath]:
        """Return what is in a folder."""
        return self._places(self._ask("ls", detail=False))

    def glob(self) -> list[StoragePath]:
        """Return what a pattern with `*`, `?`, `[` and `**` matches."""
        return self._places(self._ask("glob"))

    def walk(self) -> Iterator[tuple[StoragePath, list[str], list[str]]]:
        """Yield each folder from the top down, with the names of its folders and files."""
        for folder, folders, files in self._ask("walk"):
            yield self._places([folder])[0], list(folders), list(files)

    def open(self, mode: str = "rb", **options: Any) -> Any:
        """Return a file of fsspec, which a `with` block opens."""
        return open_url(str(self), mode, **options)

    def read_text(self, **options: Any) -> str:
        """Return the text of a file."""
        with self.open("r", **options) as file:
            return str(file.read())

    def read_bytes(self, **options: Any) -> bytes:
        """Return the bytes of a file."""
        with self.open("rb", **options) as file:
            return bytes(file.read())

    def write_text(self, data: str, **options: Any) -> None:
        """Write a file."""
        with self.open("w", **options) as file:
            file.write(data)

    def write_bytes(self, data: bytes, **options: Any) -> None:
        """Write a file."""
        with self.open("wb", **options) as file:
            file.write(data)

    def rm(self) -> None:
        """Remove a file."""
        self._ask("rm")

    def rmtree(self) -> None:
        """Remove a folder with all that is in it."""
        self._ask("rm", recursive=True)

    def rename(self, target: str | StoragePath) -> None:
        """Move it to another place in the same store."""
        self._ask("mv", str(target))

    def _ask(self, method: str, *args: Any, **options: Any) -> Any:
        files, path = url_to_fs(str(self))
        return getattr(files, method)(path, *args, **options)

    def _places(self, paths: list[str]) -> list[StoragePath]:
        """Return paths of this file system, which have lost their scheme, as places again."""
        scheme = "" if self.is_local else f"{self.scheme}://"
        return [StoragePath(p if "://" in p else f"{scheme}{p}") for p in paths]


def prefix_join(prefix: str, relative: str) -> str:
    """Return a path under a prefix, with one separator between them."""
    return str(StoragePath(prefix) / relative)


def split_gcs_path(gs_uri: str) -> tuple[str, pathlib.Path]:
    """Return the bucket of a URL of Google's storage, and the path in it.

    Raises:
        ValueError: it is no such URL.

    """
    place = StoragePath(gs_uri)
    if place.scheme != "gs":
        raise ValueError(f"`{gs_uri}` is not of the form gs://BUCKET/path")
    return place.bucket, pathlib.Path(place.key)


def _parts(value: str) -> tuple[str | None, str, tuple[str, ...], bool]:
    scheme, mark, rest = value.partition("://")
    if not mark:
        return None, "", _segments(value), value.startswith("/")
    if scheme in _WITHOUT_AUTHORITY:
        return scheme, "", _segments(rest), False
    netloc, slash, key = rest.partition("/")
    return scheme, netloc, _segments(key), bool(netloc or slash)


def _segments(key: str) -> tuple[str, ...]:
    return tuple(part for part in key.split("/") if part)
