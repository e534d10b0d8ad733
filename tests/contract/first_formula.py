"""The digest of a remote source as version 0.1 computed it: what built targets are called by."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from marin_build.pipeline.glob_patterns import compile_patterns

if TYPE_CHECKING:
    from marin_build.pipeline.source import Source

_CHECKSUMS = ("md5Hash", "crc32c", "content_md5", "ContentMD5")


def first_digest(source: Source) -> str:
    """Return the digest of a source behind a URL."""
    import fsspec

    scheme, _, path = source.location.partition("://")
    fs: Any = fsspec.filesystem(scheme, use_listings_cache=False)
    if fs.isfile(path):
        return _object_digest(fs, path, fs.info(path))
    found = fs.find(path, detail=True)
    include, exclude = compile_patterns(source.include), compile_patterns(source.exclude)
    root = fs._strip_protocol(path).rstrip("/") + "/"
    tree = hashlib.sha256()
    for name in sorted(found):
        inside = name.removeprefix(root)
        if include(inside) and not exclude(inside):
            tree.update(f"{_object_digest(fs, name, found[name])}  {inside}\n".encode())
    return tree.hexdigest()


def _object_digest(fs: Any, path: str, info: dict[str, Any]) -> str:
    for key in _CHECKSUMS:
        if value := info.get(key):
            return f"{key}:{value}:{info['size']}"
    digest = hashlib.sha256()
    with fs.open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
