"""Content digests of local sources, and the cache that saves reading unchanged files again.

The cache trusts a file's size, modification and change times and inode, but distrusts files that
were modified within 2 s of hashing: such a file could change again without its times changing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.own_folder import make_folder
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.workspace import current_workspace, is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.pipeline.source import Source


_DISTRUST_NS = 2_000_000_000
_BLOCK = 1 << 20

Stamp = list[int]  # size, mtime_ns, ctime_ns, inode

# What this process has read once: a pipeline's identity is fixed when it is loaded. `run-step`
# reads again, through `read_digest`, before a step starts and before it commits.
_known: dict[tuple[str, tuple[str, ...], tuple[str, ...]], str] = {}


def digest_of(source: Source) -> str:
    """Return the digest of `source`, read at most once in this process.

    Raises:
        SpecificationError: nothing there, or a remote source that was not read yet.

    """
    key = (source.location, source.include, source.exclude)
    if key not in _known:
        _known[key] = read_digest(source)
    return _known[key]


def remember_digest(source: Source, digest: str) -> None:
    """Fix the digest of a source for this process (remote ones are read by the store layer)."""
    _known[source.location, source.include, source.exclude] = digest


def forget_digests() -> None:
    """Forget what was read, so that a pipeline loaded anew sees changed files."""
    _known.clear()


def is_known(source: Source) -> bool:
    """Return whether the digest of `source` was read in this process."""
    return (source.location, source.include, source.exclude) in _known


def read_digest(source: Source) -> str:
    """Return the sha-256 of a local file or tree as it is now.

    The digest of a tree is the sha-256 of lines `<sha-256>  <path>` sorted by path, so that it
    can be checked with `sha256sum`.
    """
    location = source.location
    if is_url(location):
        raise _unreadable(source, "its digest was not read from the store before it was used")
    cache = _Cache.of(source)
    try:
        if os.path.isfile(location):
            digest = cache.file_digest(location, "")
        elif os.path.isdir(location):
            digest = _tree_digest(source, cache)
        else:
            raise _unreadable(source, "there is no such file or folder")
    except OSError as error:
        raise _unreadable(source, str(error.strerror)) from error
    cache.save()
    return digest


def _tree_digest(source: Source, cache: _Cache) -> str:
    include, exclude = compile_patterns(source.include), compile_patterns(source.exclude)
    tree = hashlib.sha256()
    empty = True
    for path in sorted(_files_below(source.location)):
        if include(path) and not exclude(path):
            file_digest = cache.file_digest(os.path.join(source.location, path), path)
            tree.update(f"{file_digest}  {path}\n".encode("utf-8", "surrogateescape"))
            empty = False
    if empty:
        raise _unreadable(source, "its patterns select no file")
    return tree.hexdigest()


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below `folder`, as paths relative to it with `/`."""
    pending, walked = [""], set[str]()
    while pending:
        relative = pending.pop()
        real = os.path.realpath(os.path.join(folder, relative))
        if real in walked:  # links may lead in a circle, and what they lead to counts once
            continue
        walked.add(real)
        with os.scandir(os.path.join(folder, relative)) as entries:
            for entry in entries:
                path = f"{relative}{entry.name}"
                if entry.is_dir():
                    pending.append(path + "/")
                elif entry.is_file():
                    yield path


def _unreadable(source: Source, why: str) -> SpecificationError:
    return SpecificationError(
        f"cannot read the source `{source.name}`",
        facts=[("location", source.location), ("reason", why), ("declared", source.declared)],
        consequence="nothing was run",
    )


@dataclass(slots=True)
class _Cache:
    """Digests of one source's files, in one small file below the project's `.marin-build/`."""

    file: str
    known: dict[str, tuple[str, Stamp]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def of(cls, source: Source) -> _Cache:
        project = current_workspace(source.declared_in).project
        folder = os.path.join(project, ".marin-build", "digests")
        name = hashlib.sha256(source.location.encode()).hexdigest()[:32]
        cache = cls(os.path.join(folder, name))
        try:
            with open(cache.file, encoding="utf-8") as stream:
                document = json.load(stream)
            cache.known = {path: (digest, stamp) for path, (digest, stamp) in document.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            cache.known = {}  # a cache that cannot be read is an empty one
        return cache

    def file_digest(self, path: str, key: str) -> str:
        status = os.stat(path)
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        cached = self.known.get(key)
        if cached is not None and cached[1] == stamp:
            return cached[0]
        started = time.time_ns()
        digest = _hash_file(path)
        if started - max(status.st_mtime_ns, status.st_ctime_ns) > _DISTRUST_NS:
            self.known[key] = (digest, stamp)
            self.changed = True
        return digest

    def save(self) -> None:
        if not self.changed:
            return
        try:
            make_folder(os.path.dirname(self.file))
            temporary = f"{self.file}.{os.getpid()}"
            with open(temporary, "w", encoding="utf-8") as stream:
                json.dump(self.known, stream)
            os.replace(temporary, self.file)
        except OSError:
            pass  # a project that cannot be written to is read anew each time


def _hash_file(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
