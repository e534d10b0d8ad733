"""Where analyses lie: below the project's `.marin-build/analyses`, for this user alone.

    salt               32 random bytes: names and digests of what is secret tell nothing without it
    {key}.json         what a load looked at, what became of it, and which file has what it gave
    {sha-256}.columns  what loads gave, by content: equal loads share one

Files are written beside and renamed, and never changed. What another user may have written, or is
damaged, counts as missing. The oldest are deleted.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from marin_build.untrusted_json import parse_json, table
from marin_build.workspace.file_stamps import stamp_now
from marin_build.workspace.kept_facts import made_for
from marin_build.workspace.own_files import open_own, open_unaltered
from marin_build.workspace.own_folder import NAME, make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SEEN, USED, UNSTEADY, REFUSED = "seen once", "used", "unsteady", "refused"
"""What is known of an analysis: one load gave it; a second one gave the same; it gave something
else; it cannot be kept."""
ENOUGH_REFUSALS = 2
"""Refusals in a row after which the load of the same code is neither prepared nor observed."""
FOLDER = "analyses"
_SALT, _INDEX, _COLUMNS, _NEW = "salt", ".json", ".columns", ".new"
_LEFT_OVER_NS = 3_600_000_000_000
_SALT_LENGTH = 32
_LONGEST_INDEX = 64 << 20
MOST = 32
"""How many analyses a project keeps: forms of its pipelines, by parameters and prefix."""
MOST_BYTES = 1 << 30
"""Of their columns: 100,000 steps take about 50 MB."""


def stamp_in_json(file: str) -> list[int] | None:
    """Return the stamp of a file as JSON has it; None if there is no such file."""
    stamp = stamp_now(file)
    return None if stamp is None else list(stamp)


class AnalysisFiles:
    """The analyses of a project.

    Args:
        project: its folder.

    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._folder = os.path.join(project, NAME, FOLDER)

    def salt(self) -> bytes | None:
        """Return the project's salt; None if there is none yet."""
        with suppress(OSError, ValueError):
            salt = self._read(_SALT, _SALT_LENGTH)
            return salt if len(salt) == _SALT_LENGTH else None
        return None

    def make_salt(self) -> bytes:
        """Return the project's salt, which is made if there is none.

        Raises:
            OSError: the project cannot be written to.

        """
        if (salt := self.salt()) is not None:
            return salt
        salt = os.urandom(_SALT_LENGTH)
        self._write(_SALT, salt)
        return self.salt() or salt  # another process may have been quicker

    def key_of(self, salt: bytes, given: Mapping[str, str]) -> str:
        """Return the name of the analysis of a load that was given this, by this Python."""
        text = json.dumps([made_for(self._project), sorted(given.items())])
        return hmac.digest(salt, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]

    def index(self, key: str) -> dict[str, Any]:
        """Return what is known of an analysis.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: this user has not written it, or it is damaged.

        """
        return table(parse_json(self._read(key + _INDEX, _LONGEST_INDEX)))

    def write_index(self, key: str, index: Mapping[str, Any]) -> None:
        """Keep what is known of an analysis, in place of what was known.

        Raises:
            OSError: the project cannot be written to.

        """
        self._write(key + _INDEX, json.dumps(index).encode("ascii"))

    def drop(self, key: str) -> None:
        """Forget an analysis, if the project can be written to."""
        with suppress(OSError):
            os.unlink(os.path.join(self._folder, key + _INDEX))

    def all(self) -> Iterator[dict[str, Any]]:
        """Yield what is known of each analysis, the newest first."""
        for _, name in self._by_age(_INDEX):
            with suppress(OSError, ValueError):
                yield self.index(name.removesuffix(_INDEX))

    def open_columns(self, digest: str) -> int:
        """Return a descriptor of the file with this content.

        Raises:
            OSError: there is none.
            ValueError: this user has not written it.

        """
        return open_unaltered(os.path.join(self._folder, f"{digest}{_COLUMNS}"))

    def write_columns(self, data: bytes) -> str:
        """Keep columns; return the name of their content.

        Raises:
            OSError: the project cannot be written to.

        """
        digest = hashlib.sha256(data).hexdigest()
        with suppress(OSError, ValueError):
            descriptor = self.open_columns(digest)
            is_whole = os.fstat(descriptor).st_size == len(data)
            os.close(descriptor)
            if is_whole:
                return digest
        self._write(f"{digest}{_COLUMNS}", data)
        return digest

    def clean(self) -> None:
        """Delete the oldest analyses beyond the limits, and columns that none of them names."""
        room, named = MOST_BYTES, set[str]()
        for place, (_, name) in enumerate(self._by_age(_INDEX)):
            with suppress(OSError, ValueError):
                digest = str(self.index(name.removesuffix(_INDEX)).get("columns", ""))
                size = self._size(digest + _COLUMNS) if digest and digest not in named else 0
                if place < MOST and size <= room:
                    room -= size
                    named.add(digest)
                    continue
            with suppress(OSError):
                os.unlink(os.path.join(self._folder, name))
        unnamed = [
            name
            for _, name in self._by_age(_COLUMNS)[1:]  # the newest may belong to an index to come
            if name.removesuffix(_COLUMNS) not in named
        ]
        for name in (*unnamed, *self._left_over()):
            with suppress(OSError):
                os.unlink(os.path.join(self._folder, name))

    def _left_over(self) -> list[str]:
        """Return the files that a command which was killed did not move into place."""
        old = time.time_ns() - _LEFT_OVER_NS
        return [name for written, name in self._by_age(_NEW) if written < old]

    def _size(self, name: str) -> int:
        return os.stat(os.path.join(self._folder, name)).st_size

    def _by_age(self, suffix: str) -> list[tuple[int, str]]:
        """Return the files with a suffix, the newest first."""
        found = []
        with suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(suffix):
                    with suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        found.append((status.st_mtime_ns, entry.name))
        return sorted(found, reverse=True)

    def _read(self, name: str, most: int) -> bytes:
        with open(open_unaltered(os.path.join(self._folder, name)), "rb") as stream:
            data = stream.read(most + 1)
        if len(data) > most:
            raise ValueError("it is too long")
        return data

    def _write(self, name: str, data: bytes) -> None:
        if not os.path.isdir(self._folder):
            make_folder(self._folder)
            os.chmod(self._folder, 0o700)
        path = os.path.join(self._folder, name)
        # In containers, numbers of processes repeat.
        temporary = f"{path}.{os.urandom(8).hex()}{_NEW}"
        try:
            descriptor = open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(data)
            os.replace(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
