"""Digests of sources that live in stores: the store's content checksum, else the content."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from marin_build.errors import SpecificationError, StoreError
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.pipeline.source_digests import is_known, remember_digest

if TYPE_CHECKING:
    from marin_build.pipeline.source import Source


_CHECKSUMS = ("md5Hash", "crc32c", "content_md5", "ContentMD5")
_BLOCK = 1 << 20


def read_remote_digest(source: Source) -> None:
    """Read and remember the digest of a source behind a URL.

    Generations, etags and times are no part of it: copying the same bytes again changes nothing.

    Raises:
        StoreError: the source cannot be read.
        SpecificationError: its patterns select no file.

    """
    if is_known(source):
        return
    import fsspec

    scheme, _, path = source.location.partition("://")
    fs: Any = fsspec.filesystem(scheme, use_listings_cache=False)
    path = source.location if scheme in {"http", "https"} else path
    try:
        if fs.isfile(path):
            remember_digest(source, _object_digest(fs, path, fs.info(path)))
            return
        found = fs.find(path, detail=True)
    except Exception as error:
        raise StoreError(
            f"cannot read the source `{source.name}`",
            facts=[
                ("location", source.location),
                ("reason", str(error)),
                ("declared", source.declared),
            ],
        ) from error
    include, exclude = compile_patterns(source.include), compile_patterns(source.exclude)
    root = fs._strip_protocol(path).rstrip("/") + "/"  # noqa: SLF001 - the way fsspec spells its keys
    tree, empty = hashlib.sha256(), True
    for name in sorted(found):
        inside = name.removeprefix(root)
        if include(inside) and not exclude(inside):
            tree.update(f"{_object_digest(fs, name, found[name])}  {inside}\n".encode())
            empty = False
    if empty:
        raise SpecificationError(
            f"the source `{source.name}` is empty", facts=[("location", source.location)]
        )
    remember_digest(source, tree.hexdigest())


def _object_digest(fs: Any, path: str, info: dict[str, Any]) -> str:
    for key in _CHECKSUMS:
        if value := info.get(key):
            return f"{key}:{value}:{info['size']}"
    digest = hashlib.sha256()
    with fs.open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
