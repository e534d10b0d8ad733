"""A power cut and the local disk: which finished targets surely reached it.

An fsync a step would cost more than many steps. Instead a run says, before it builds, that what
it builds is not on disk yet; every few seconds it has the kernel write everything (`syncfs`) and
notes until when all is safe; at its end it takes the note away. If the machine goes down in
between, the note stays, naming a boot that is over: then a plan does not trust what that run
finished later than its last sync.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.quick_dataclass import dataclass
from marin_build.store.local_read import read_file, store_error
from marin_build.text.moments import stamp_now
from marin_build.untrusted_json import parse_json, table, text
from marin_build.workspace.own_files import open_own
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable


FOLDER = os.path.join(".marin-build", "unsynced")
SYNC_EVERY = 5.0
"""Seconds between two syncs: what a power cut may cost."""


@dataclass(frozen=True, slots=True)
class CutShort:
    """A run the machine did not survive; what it finished after `synced_until` is doubtful."""

    run: str
    synced_until: str


class Syncing:
    """One run's note, kept while the run builds under a local prefix.

    Args:
        prefix: the folder the outputs live in; it must exist.
        run: the run's id.
        boot: what this boot of the machine is called.
        host: what this machine is called.

    Raises:
        OSError: the note cannot be written; nothing may be built.

    """

    def __init__(self, prefix: str, run: str, *, boot: str, host: str) -> None:
        folder = os.path.join(prefix, FOLDER)
        make_folder(folder)
        self._path = os.path.join(folder, f"{run}.json")
        self._note = {"run": run, "boot": boot, "host": host}
        self._folder = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        self._over = threading.Event()
        try:
            self._write("")
            self._sync()
        except OSError:
            os.close(self._folder)
            raise
        self._thread = threading.Thread(target=self._sync_regularly, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write everything to disk and take the note away.

        Raises:
            OSError: not everything is surely on disk, and the note stays.

        """
        self._over.set()
        self._thread.join()
        try:
            self._sync()
            with suppress(FileNotFoundError):  # a person deleted the whole prefix
                os.unlink(self._path)
        finally:
            os.close(self._folder)

    def _sync_regularly(self) -> None:
        while not self._over.wait(SYNC_EVERY):
            now = stamp_now()
            with suppress(OSError):  # the disk is full: an older note only doubts more
                self._sync()
                self._write(now)

    def _write(self, synced_until: str) -> None:
        temporary = f"{self._path}.tmp"
        try:
            descriptor = open_own(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump({**self._note, "synced_until": synced_until}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(temporary, self._path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def _sync(self) -> None:
        """Have the kernel write the whole file system to disk."""
        import ctypes

        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is None:  # not Linux
            os.sync()
        elif syncfs(self._folder) != 0:
            raise OSError(ctypes.get_errno(), "cannot write the outputs to disk")


def runs_cut_short(prefix: str, *, boot: str, host: str) -> list[CutShort]:
    """Return the runs under a local prefix that this machine did not survive.

    Raises:
        CorruptStateError: a note is not readable.
        StoreError: their folder cannot be listed.

    """
    folder = os.path.join(prefix, FOLDER)
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise store_error("list", folder, error) from error
    notes = [_read(os.path.join(folder, name)) for name in names if name.endswith(".json")]
    return [
        CutShort(note["run"], note["synced_until"])
        for note in notes
        if note is not None and note["host"] == host and note["boot"] != boot
    ]


def _read(path: str) -> dict[str, str] | None:
    try:
        blob = read_file(path)
        if blob is None:  # its run ended just now
            return None
        note = table(parse_json(blob.data))
        return {key: text(note[key]) for key in ("run", "boot", "host", "synced_until")}
    except (ValueError, KeyError):
        raise CorruptStateError(
            f"the note `{path}` is not readable",
            facts=[("it says", "what a run had not surely written to disk")],
            consequence="nothing is believed about that run",
            hint="delete it if no machine went down while building there",
        ) from None


def doubter(cut_short: list[CutShort]) -> Callable[[str, str], bool] | None:
    """Return whether a target is doubtful, as a function of its run and its end; None: none is."""
    if not cut_short:
        return None
    until = {cut.run: cut.synced_until for cut in cut_short}
    return lambda run, end: run in until and end > until[run]
