"""The cache that saves reading unchanged inputs again: below the project's `.marin-build/digests`.

One small file for each place of a source, whatever commands and patterns read it. A digest is
given out only for the very stamp that it was put under: of a local file size, times and inode, of
an object what its store calls its version, and the size.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import field

from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import parse_json, table, text
from marin_build.workspace.own_files import open_own, read_own
from marin_build.workspace.own_folder import NAME, make_folder

Stamp = list[int | str]
_LONGEST = 1 << 30
"""Bytes: the digests of ten million files fit."""


@dataclass(slots=True)
class DigestCache:
    """Digests of the files of one source, by their paths in it (empty for a source of one file)."""

    file: str
    known: dict[str, tuple[str, Stamp]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def of(cls, location: str, project: str) -> DigestCache:
        """Return the cache of what lies at a path or URL, as it was saved last."""
        name = hashlib.sha256(location.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        cache = cls(os.path.join(project, NAME, "digests", name))
        try:
            document = table(parse_json(read_own(cache.file, _LONGEST)))
            cache.known = {
                path: (text(digest), stamp) for path, (digest, stamp) in document.items()
            }
        except (OSError, ValueError, TypeError):
            cache.known = {}  # a cache that cannot be read is an empty one
        return cache

    def get(self, path: str, stamp: Stamp) -> str | None:
        """Return the digest of a file, if the file still has the stamp it was read under."""
        found = self.known.get(path)
        return found[0] if found is not None and found[1] == stamp else None

    def put(self, path: str, digest: str, stamp: Stamp) -> None:
        """Keep the digest of a file."""
        self.known[path] = (digest, stamp)
        self.changed = True

    def save(self) -> None:
        """Write what was put."""
        if not self.changed:
            return
        try:
            make_folder(os.path.dirname(self.file))
            temporary = f"{self.file}.{os.getpid()}"
            descriptor = open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(self.known, stream)
            os.replace(temporary, self.file)
        except OSError:
            pass  # a project that cannot be written to is read anew each time
