"""Which files a source had: kept below the prefix when a step that reads it is built.

Later plans name the files that changed by it. A listing is the text whose sha-256 is the digest of
the folder, so `sha256sum -c` reads it, and it lies under that digest. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.pipeline.source_files import tree_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.pipeline.source_digests import Content

_LINE = re.compile(r"(\\?)(\S+)  (.+)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)")
_LARGEST = 1 << 20
"""Bytes of a listing that is kept."""
_NAMED = 2
"""Files that one line names; it counts the others."""


def listing_path(prefix: str, digest: str) -> str:
    """Return where the listing of a folder with this digest is kept under a prefix."""
    return f"{prefix}/.marin-build/inputs/{digest}.sha256"


def listing_of(content: Content) -> bytes | None:
    """Return the listing of a folder; None for one file, and for more than are kept."""
    if content.files is None or "" in content.files:
        return None
    data = b"".join(tree_line(digest, path) for path, digest in sorted(content.files.items()))
    return data if len(data) <= _LARGEST else None


def files_listed(data: bytes) -> dict[str, str]:
    """Return path -> digest of a listing; lines that cannot be read are left out."""
    found = {}
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        if (match := _LINE.fullmatch(line)) is not None:
            escaped, digest, path = match.groups()
            found[_unescaped(path) if escaped else path] = digest
    return found


def changed_in_words(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what became of the files of a folder: `a.txt changed, b.txt added and 3 more`."""
    changes = []
    for path in sorted(before.keys() | now.keys()):
        if before.get(path) != now.get(path):
            verb = "added" if path not in before else "removed" if path not in now else "changed"
            changes.append(f"{path} {verb}")
    more = len(changes) - _NAMED
    return ", ".join(changes[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _unescaped(path: str) -> str:
    return _ESCAPE.sub(lambda found: "\n" if found[1] == "n" else found[1], path)
