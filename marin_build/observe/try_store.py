"""What leases rely on, really tried in a store: conditional writes that reads and lists see."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class StoreTrial:
    """What a trial found.

    Args:
        broken: what does not hold, in words; empty if leases hold.
        seconds: how long a request took, in the middle.
        ahead: seconds that this machine's clock is ahead of the store's; None if it says no time.

    """

    broken: tuple[str, ...]
    seconds: float
    ahead: float | None


def try_store(store: Store, prefix: str) -> StoreTrial:
    """Write, read and delete one small object below a prefix, as leases do; nothing stays there.

    Args:
        store: of the prefix.
        prefix: where outputs live; a local folder need not exist.

    Raises:
        StoreError: the store cannot be reached, or refuses.

    """
    folder = f"{_nearest(prefix)}/.marin-build-doctor-{secrets.token_hex(4)}"
    if is_url(prefix):
        folder = f"{prefix}/.marin-build/doctor/{secrets.token_hex(4)}"
    trial = _Trial(store, f"{folder}/lease")
    try:
        broken = tuple(trial.run())
        return StoreTrial(broken, sorted(trial.times)[len(trial.times) // 2], trial.ahead)
    finally:
        if not is_url(prefix):
            shutil.rmtree(folder, ignore_errors=True)


class _Trial:
    """The requests at one path."""

    def __init__(self, store: Store, path: str) -> None:
        self._store, self._path = store, path
        self.times: list[float] = []
        self.ahead: float | None = None

    def run(self) -> Iterator[str]:
        """Yield what does not hold."""
        store, path = self._store, self._path
        first = self._timed(store.put_if_absent, path, b"1")
        if first is None:
            yield "what is not there counts as being there"
            return
        self.ahead = _clock_ahead(path)
        if self._timed(store.put_if_absent, path, b"2") is not None:
            yield "a second writer may create what is there: two runs could build one target"
        second = self._timed(store.replace_if, path, b"3", first)
        if second is None:
            yield "the holder of a version cannot replace it"
        elif self._timed(store.replace_if, path, b"4", first) is not None:
            yield "a writer may replace what it has not seen: a lost lease could be renewed"
        blob = self._timed(store.get, path)
        if blob is None or blob.data != b"3":
            yield "a read does not see the last write"
        folder, name = os.path.split(path)
        if name not in self._timed(store.list, folder):
            yield "a list does not see what was written: a plan could miss a built target"
        if self._timed(store.delete_if, path, first):
            yield "a writer may delete what it has not seen"
        version = second if second is not None else first
        if not self._timed(store.delete_if, path, version) or store.get(path) is not None:
            yield "what was deleted is still there"

    def _timed(self, request: Any, *args: Any) -> Any:
        start = time.monotonic()
        result = request(*args)
        self.times.append(time.monotonic() - start)
        return result


def _nearest(folder: str) -> str:
    """Return a local folder, or the nearest one above it that exists."""
    while not is_url(folder) and not os.path.lexists(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
    return folder.rstrip("/")


def _clock_ahead(path: str) -> float | None:
    """Return how far this clock is ahead of the store's, by what was written just now."""
    now = time.time()
    if not is_url(path):
        try:
            return now - os.stat(path).st_mtime
        except OSError:
            return None
    import fsspec

    try:
        fs, inside = fsspec.core.url_to_fs(path)
        info = fs.info(inside)
    except Exception:  # noqa: BLE001 - any client's errors; the trial itself says what fails
        return None
    written = next((info[key] for key in _WRITTEN if info.get(key)), None)
    if isinstance(written, str):
        try:
            written = datetime.fromisoformat(written)
        except ValueError:
            return None
    if not isinstance(written, datetime):
        return None
    return (
        now - (written if written.tzinfo is not None else written.replace(tzinfo=UTC)).timestamp()
    )


_WRITTEN = ("updated", "LastModified", "last_modified", "mtime")
"""What the clients of Google, Amazon and Azure call the time of the last write."""
