"""Keeps the journal of a run: `{prefix}/.marin-build/runs/<run>/events.jsonl`.

Under a local prefix each line is appended as it happens, so that a kill leaves a journal that ends
where the run did. A bucket cannot append: there the journal is a file of this machine, sent whole
now and then and at the end. If it cannot be written, that is a warning, and the run goes on.
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.apply.events import PASSING, Warned
from marin_build.apply.journal import FILE, Header, event_line, header_line
from marin_build.errors import StoreError
from marin_build.protocol.lease import process_start
from marin_build.run_step.patient_store import Patience, patiently
from marin_build.workspace.own_files import open_own
from marin_build.workspace.own_folder import make_folder
from marin_build.workspace.places import is_url
from marin_build.workspace.private_folder import (
    find_private_folders,
    forget_private_folder,
    private_folder,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.run_step.session import Session
    from marin_build.store.base import Store


_SEND_FIRST_AFTER = 10.0
_SEND_EVERY = 60.0
"""Seconds between two sendings of a journal; before the second one fewer."""
_PATIENCE = 30.0
"""Seconds for which the last sending waits for a store that gives no answer."""
_BLOCK = 1 << 20
_SHARE = 20
"""The pause after a sending is at least so many times as long as the sending took."""


class Journaling:
    """Receives every event, writes what lasts to the journal, if there is one, and passes it on."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._file = -1
        self._sending: _Sending | None = None
        self.path = ""
        """The local file that holds it; empty if there is none."""
        self._is_temporary = False

    def __call__(self, event: Event) -> None:
        """Write an event down, then pass it on."""
        if self._file >= 0 and not isinstance(event, PASSING):
            line = event_line(event, self._now(), time.monotonic() - self._began)
            try:
                os.write(self._file, line)
            except OSError as error:
                self._warn(str(error.strerror).lower())
                self._close_file()
        self._on_event(event)

    def open(self, prefix: str, session: Session, *, keep: bool) -> None:
        """Begin the journal of a run.

        Args:
            prefix: where the run's outputs live.
            session: the run.
            keep: whether it is kept under the prefix; if not, it is gone when it is closed.

        """
        from marin_build.apply.run_folder import folder_of  # it takes pydantic

        self._run, self._now, self._began = session.run, session.now, time.monotonic()
        path = f"{folder_of(prefix, session.run)}/{FILE}"
        self._is_temporary = is_url(prefix) or not keep
        who = session.provenance()
        header = Header(
            session.run,
            f"{who.user}@{who.host}",
            os.getpid(),
            who.marin_build,
            session.host.boot,
            max(0, process_start(os.getpid())),
        )
        local = path
        try:
            if self._is_temporary:
                local = os.path.join(private_folder(session.run), FILE)
            make_folder(os.path.dirname(local))
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._file = open_own(local, flags)
            self.path = local
            os.write(self._file, header_line(header, self._now()))
        except OSError as error:
            self._warn(str(error.strerror).lower())
            self._close_file()
            return
        if keep and self._is_temporary:
            self._sending = _Sending(session.store, self._file, path)

    def finish(self) -> None:
        """Send the journal to its store. The local file stays until `close`."""
        self._close_file()
        if self._sending is not None:
            try:
                self._sending.close()
            except StoreError as error:
                self._warn(error.with_reason)
            self._sending = None

    def close(self) -> None:
        """Finish the journal, and remove its local file if that is only temporary."""
        self.finish()
        if self.path and self._is_temporary:
            with suppress(OSError):
                os.unlink(self.path)
            forget_private_folder(self._run)  # unless logs lie there, too
            self.path = ""

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _warn(self, why: str) -> None:
        self._on_event(Warned(f"the journal of {self._run} is not kept: {why}"))


class _Sending:
    """Sends a growing file to a store, each time the whole of it, whatever became of its name."""

    def __init__(self, store: Store, descriptor: int, path: str) -> None:
        self._store, self._path = store, path
        self._file = os.dup(descriptor)
        self._sent = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send_now_and_then, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send it for the last time.

        Raises:
            StoreError: it cannot be written there.

        """
        self._over.set()
        self._thread.join()
        patience = Patience(lambda: False, away=_PATIENCE, denied=_PATIENCE)
        try:
            with patiently(self._store, patience):
                self._send()
        finally:
            os.close(self._file)

    def _send_now_and_then(self) -> None:
        pause = _SEND_FIRST_AFTER
        while not self._over.wait(pause):
            began = time.monotonic()
            with suppress(StoreError):  # the last sending reports it
                self._send()
            pause = max(_SEND_EVERY, _SHARE * (time.monotonic() - began))

    def _send(self) -> None:
        # Read by offset: the thread that writes to the file moves the position that we share.
        data = bytearray()
        while block := os.pread(self._file, _BLOCK, len(data)):
            data += block
        if len(data) != self._sent:
            self._store.put(self._path, bytes(data))
            self._sent = len(data)


def journal_left_here(run: str) -> bytes | None:
    """Return what a run into a bucket left on this machine: it died, and could not send all."""
    for folder in find_private_folders(run):
        with suppress(OSError):
            return read_private(os.path.join(folder, FILE))
    return None


def read_private(path: str) -> bytes:
    """Return the journal in a file of ours.

    Raises:
        OSError: it cannot be read, or something else than a file of ours lies there.

    """
    with open(open_own(path, os.O_RDONLY), "rb") as stream:
        return stream.read()
