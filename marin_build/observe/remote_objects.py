"""What lies behind the URL of a source: its objects, and the digest of each.

Equal bytes have equal digests, however they were uploaded: an object has one kind of digest in
its store, and where the store does not know that of an object, the object is read. Generations,
etags and times never enter; they only tell whether what was read before is still there.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.pipeline.digest_cache import DigestCache, Stamp
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.pipeline.source_digests import (
    Content,
    content_of_files,
    read_content,
    unreadable,
)
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.source import Source
    from marin_build.store.objects import ObjectReader, StoredObject

_LOCAL = ("file", "local")
_BUCKETS_OF_GOOGLE = ("gs", "gcs")
_MARK_OF_HADOOP = "_$folder$"
_EMPTY = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True)
class Found:
    """A remote source: its objects by path inside it, and what is known of their digests.

    Args:
        marks: of folders, which the first formula counted like files.
        digests: by path; filled as objects are read.

    """

    source: Source
    reader: ObjectReader
    objects: dict[str, StoredObject]
    marks: Sequence[StoredObject]
    cache: DigestCache
    digests: dict[str, str]


def cache_of(source: Source) -> DigestCache:
    """Return the cache of the place of a source; sources of one place must share it."""
    return DigestCache.of(source.location, current_workspace(source.declared_in).project)


def look(source: Source, reader: ObjectReader, cache: DigestCache) -> Found | Content:
    """Return the objects of a source, with the digests that are known without reading them."""
    scheme, _, path = source.location.partition("://")
    if scheme in _LOCAL:
        return read_content(replace(source, location=path))
    objects, marks = _selected(source, reader)
    digests = {}
    for path, it in objects.items():
        known = _vouched(source, it) or _cached(source, cache, path, it)
        if known is None and it.may_know_sha256:
            again = reader.look(_url(source, path))
            known = again.sha256 if again is not None and again.version == it.version else None
        if known:
            digests[path] = known
    return Found(source, reader, objects, marks, cache, digests)


def _selected(
    source: Source, reader: ObjectReader
) -> tuple[dict[str, StoredObject], list[StoredObject]]:
    """Return the objects that count, by path, and the marks of folders that once did."""
    one = reader.look(source.location)
    if one is not None:
        return {"": one}, []
    include, exclude = compile_patterns(source.include), compile_patterns(source.exclude)
    listed = reader.objects(source.location)
    if not listed:
        raise unreadable(source, "there is neither an object nor a folder of that name")
    chosen = [it for it in listed if include(it.path) and not exclude(it.path)]
    marks = [it for it in chosen if _is_mark(it)]
    objects = {it.path: it for it in chosen if not _is_mark(it)}
    if not objects:
        raise unreadable(source, "its patterns select no object")
    return objects, marks


def _is_mark(it: StoredObject) -> bool:
    """Return whether an object only stands for a folder, as tools and consoles write them."""
    return (
        it.path == ""
        or it.path.endswith("/")
        or (it.size == 0 and it.path.endswith(_MARK_OF_HADOOP))
    )


def _url(source: Source, path: str) -> str:
    return f"{source.location}/{path}" if path else source.location


def _is_known_by_md5(source: Source, it: StoredObject) -> bool:
    """Return whether objects of this store are known by their md5, this one perhaps excepted."""
    return source.location.partition("://")[0] in _BUCKETS_OF_GOOGLE or bool(it.md5 or it.crc32c)


def _vouched(source: Source, it: StoredObject) -> str | None:
    """Return the digest that the store knows of an object, if that is of the kind we use."""
    if _is_known_by_md5(source, it):
        return _md5_digest(it.md5, it.size) if it.md5 else None
    return it.sha256 or None


def _md5_digest(md5: str, size: int | None) -> str:
    return f"md5Hash:{md5}:{size}"


def _stamp(source: Source, it: StoredObject) -> Stamp:
    kind = "md5" if _is_known_by_md5(source, it) else "sha256"
    return [kind, it.version, -1 if it.size is None else it.size]


def _cached(source: Source, cache: DigestCache, path: str, it: StoredObject) -> str | None:
    return cache.get(path, _stamp(source, it)) if it.version else None


def keep(found: Found, path: str, digest: str) -> None:
    """Take the digest of an object that was read, for this command and for later ones."""
    found.digests[path] = digest
    it = found.objects[path]
    if it.version:
        found.cache.put(path, digest, _stamp(found.source, it))


def read_object(found: Found, path: str, on_bytes: Callable[[int], None]) -> str:
    """Read an object; return its digest.

    Args:
        found: its source.
        path: inside the source.
        on_bytes: called with the number of bytes of each piece that was read; may raise to end
            the reading.

    """
    it = found.objects[path]
    by_md5 = _is_known_by_md5(found.source, it)
    digest = hashlib.md5(usedforsecurity=False) if by_md5 else hashlib.sha256()
    size = 0
    for data in found.reader.pieces(_url(found.source, path), it):
        digest.update(data)
        size += len(data)
        on_bytes(len(data))
    if by_md5:
        return _md5_digest(base64.b64encode(digest.digest()).decode(), size)
    return digest.hexdigest()


def content_found(found: Found) -> Content:
    """Return the content of a source all of whose digests are known."""
    if "" in found.objects:
        content = Content(found.digests[""], dict(found.digests))
        old = _first_digest(found.objects[""]) or content.digest
    else:
        content = content_of_files(found.digests)
        first = {it.path: _first_digest(it) or _EMPTY for it in found.marks}
        for path, it in found.objects.items():
            first[path] = _first_digest(it) or found.digests[path]
        old = content_of_files(first).digest
    return content if old == content.digest else replace(content, digest_1=old)


def _first_digest(it: StoredObject) -> str | None:
    """Return the digest of an object under the first formula, if that did not read the object."""
    if it.md5:
        return _md5_digest(it.md5, it.size)
    return f"crc32c:{it.crc32c}:{it.size}" if it.crc32c else None
