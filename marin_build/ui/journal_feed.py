"""The journal of a run while it grows: the entries that were added since the last look.

A journal under a local prefix is read from where the last look stopped. That of a run into a bucket
grows in a file of the machine on which it runs, and is sent to the bucket now and then: here the
file is read if it is on this machine, else the bucket's copy, if its size has changed. All of these
are beginnings of the same bytes, so one position counts for all.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.apply.journal import FILE, UnreadableJournalError, parse_entries, parse_header
from marin_build.apply.run_folder import folder_of
from marin_build.store.bounds import LONGEST
from marin_build.workspace.own_files import open_own
from marin_build.workspace.places import is_url
from marin_build.workspace.private_folder import find_private_folders

if TYPE_CHECKING:
    from marin_build.apply.journal import Entry, Header
    from marin_build.operations.loading.place import Place


_MOST = 4 << 20
"""Bytes of one look, so that what was read can be shown before the next one."""
_LONGEST_LINE = 8 << 20


class JournalFeed:
    """Reads the journal of one run.

    Args:
        place: the prefix and its store.
        run: the run's id.

    """

    def __init__(self, place: Place, run: str) -> None:
        self._place, self._run = place, run
        self._folder = folder_of(place.prefix, run)
        self._is_remote = is_url(place.prefix)
        self._at = 0
        self._begun = b""
        self._blob = b""
        self._size = 0  # of the copy in the bucket
        self.head: tuple[Header, str] | None = None
        """What its first line says; None: it was not read yet."""
        self.problem = ""
        """Why it cannot be read, in words; empty if it can."""
        self.is_here = not self._is_remote
        """Whether it was last read from a disk of this machine."""
        self.has_more = False
        """Whether the last look left something for the next one."""

    @property
    def path(self) -> str:
        """Where the journal is kept."""
        return f"{self._folder}/{FILE}"

    def look(self) -> list[Entry]:
        """Return the entries that were added; it may take as long as the store takes.

        Raises:
            StoreError: the bucket cannot be read.

        """
        data = self._added()
        self.has_more = len(data) == _MOST
        lines, newline, self._begun = (self._begun + data).rpartition(b"\n")
        if len(self._begun) > _LONGEST_LINE:
            self._begun = b""  # no line of ours is so long
        if not newline or self.problem:
            return []
        if self.head is None:
            first, _, lines = lines.partition(b"\n")
            try:
                self.head = parse_header(first)
            except UnreadableJournalError as error:
                self.problem = str(error)
                return []
        return list(parse_entries(lines))

    def _added(self) -> bytes:
        data = self._on_disk() if self._at < LONGEST else b""
        if data is None:
            data = self._in_bucket()
        self._at += len(data)
        return data

    def _on_disk(self) -> bytes | None:
        """Return what was added to a file of this machine; None if there is none."""
        folders = find_private_folders(self._run) if self._is_remote else (self._folder,)
        for folder in folders:
            try:
                descriptor = open_own(os.path.join(folder, FILE), os.O_RDONLY)
            except OSError:
                continue
            with open(descriptor, "rb") as stream:
                stream.seek(self._at)
                self.is_here = True
                return stream.read(_MOST)
        return None if self._is_remote else b""

    def _in_bucket(self) -> bytes:
        """Return what was added to the copy in the bucket; it is read again only if it grew."""
        self.is_here = False
        sizes = {file.path: file.size for file in self._place.store.files(self._folder)}
        if sizes.get(FILE, 0) != self._size:
            blob = self._place.store.get(self.path)
            self._blob, self._size = (blob.data, len(blob.data)) if blob is not None else (b"", 0)
        data = self._blob[self._at : self._at + _MOST]
        if self._at + len(data) >= len(self._blob):
            self._blob = b""
        return data
