"""Content digests of sources: local ones are read here, and remembered for this process.

The cache of digests is trusted where a file has the size, modification and change times and inode
it had. Files that were modified within 2 s of hashing are read again: such a file could change once
more without its times changing.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.pipeline.digest_cache import DigestCache, Stamp
from marin_build.pipeline.formulas import FIRST
from marin_build.pipeline.source_files import (
    DanglingLinkError,
    selected_files,
    tree_line,
)
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.file_stamps import lasts, stamp_of
from marin_build.workspace.places import is_url
from marin_build.workspace.regular_files import open_regular
from marin_build.workspace.workspace import current_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.pipeline.formulas import Formula
    from marin_build.pipeline.source import Source


_BLOCK = 1 << 20

_NAMED = 10_000
"""Files of a source that are known one by one; of more, only the digest of all is."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a source holds.

    Args:
        digest: of all of it; identity.
        files: path inside the source (empty for a source that is one file) -> its digest; None for
                more than 10,000 files.
        digest_1: its digest under the first formula, where that is another one (docs/adr/0016).

    """

    digest: str
    files: Mapping[str, str] | None = None
    digest_1: str | None = None


# What this process has read once: a pipeline's identity is fixed when it is loaded. `run-step`
# reads again, through `read_content`, before a step starts and before it commits.
_known: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Content] = {}


def digest_of(source: Source) -> str:
    """Return the digest of `source`, read at most once in this process.

    Raises:
        SpecificationError: nothing there, or a remote source that was not read yet.

    """
    return content_of(source).digest


def source_identity(source: Source, formula: Formula) -> tuple[str, str]:
    """Return what a source is to a step that reads it: its name, and the digest of its content.

    Raises:
        SpecificationError: as `digest_of`.

    """
    content = content_of(source)
    if formula == FIRST:
        return source.name_1, content.digest_1 or content.digest
    return source.name, content.digest


def content_of(source: Source) -> Content:
    """Return the content of `source`, read at most once in this process; raises as `digest_of`."""
    key = (source.location, source.include, source.exclude)
    if key not in _known:
        _known[key] = read_content(source)
    return _known[key]


def remember_digest(source: Source, digest: str) -> None:
    """Fix the digest of a source for this process."""
    remember_content(source, Content(digest))


def remember_content(source: Source, content: Content) -> None:
    """Fix the content of a source for this process (remote ones are read by the store layer)."""
    _known[source.location, source.include, source.exclude] = content


def forget_digests() -> None:
    """Forget what was read, so that a pipeline loaded anew sees changed files."""
    _known.clear()


def is_known(source: Source) -> bool:
    """Return whether the digest of `source` was read in this process."""
    return (source.location, source.include, source.exclude) in _known


def read_digest(source: Source) -> str:
    """Return the digest of a local file or folder as it is now; see `read_content`."""
    return read_content(source).digest


def read_content(source: Source) -> Content:
    """Return what a local file or folder holds now.

    The digest of a file is its sha-256; that of a folder that of lines `<sha-256>  <path>`,
    sorted by path, so that it can be checked with `sha256sum`.

    Raises:
        SpecificationError: it is not there, not readable or empty, or has a link to nowhere.

    """
    location = source.location
    if is_url(location):
        raise unreadable(source, "its digest was not read from the store before it was used")
    workspace = current_workspace(source.declared_in)
    cache = DigestCache.of(source.location, workspace.project)
    try:
        if os.path.isfile(location):
            digest = _file_digest(cache, location, "")
            content = Content(digest, {"": digest})
        elif os.path.isdir(location):
            content = _tree(source, cache, workspace.prefix)
        else:
            raise unreadable(source, _nothing_at(location))
    except OSError as error:
        where = f": `{error.filename}`" if error.filename not in {None, location} else ""
        raise unreadable(source, f"{error.strerror}{where}") from error
    cache.save()
    return content


def changed_files(before: Content, now: Content) -> list[str]:
    """Return the paths that are not in both, or not with the same bytes; sorted.

    Empty if the files of either are not known one by one.
    """
    if before.files is None or now.files is None:
        return []
    paths = before.files.keys() | now.files.keys()
    return sorted(path for path in paths if before.files.get(path) != now.files.get(path))


def content_of_files(digests: Mapping[str, str]) -> Content:
    """Return the content of a folder whose files have these digests."""
    tree = hashlib.sha256()
    for path in sorted(digests):
        tree.update(tree_line(digests[path], path))
    return Content(tree.hexdigest(), digests if len(digests) <= _NAMED else None)


def _tree(source: Source, cache: DigestCache, prefix: str) -> Content:
    try:
        paths = selected_files(source, prefix)
    except DanglingLinkError as error:
        raise unreadable(
            source,
            f"its link `{error.path}` leads nowhere: to `{error.leads_to}`",
            hint=f'remove the link, or leave it out: source(..., exclude=("{error.path}",))',
        ) from None
    if not paths:
        raise unreadable(source, "its patterns select no file")
    return content_of_files(
        {path: _file_digest(cache, os.path.join(source.location, path), path) for path in paths}
    )


def _nothing_at(location: str) -> str:
    if os.path.islink(location) and not os.path.exists(location):
        return f"there is no such file or folder: it is a link to `{os.readlink(location)}`"
    if os.path.lexists(location):
        return "it is neither a file nor a folder"
    return "there is no such file or folder"


def unreadable(source: Source, why: str, hint: str | None = None) -> SpecificationError:
    """Return the error for a source that cannot be read.

    Args:
        source: the source.
        why: the reason, in words.
        hint: what the author can do.

    """
    return SpecificationError(
        f"cannot read the source `{source.name}`",
        facts=[("location", source.location), ("reason", why), ("declared", source.declared)],
        consequence="nothing was run",
        hint=hint,
    )


def _file_digest(cache: DigestCache, path: str, key: str) -> str:
    """Return the sha-256 of a file, from the cache if the file is what was read."""
    file_stamp = stamp_of(os.stat(path))
    stamp: Stamp = [*file_stamp]
    if (known := cache.get(key, stamp)) is not None:
        return known
    started = time.time_ns()
    digest = _hash_file(path)
    if lasts(file_stamp, started):
        cache.put(key, digest, stamp)
    return digest


def _hash_file(path: str) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
