"""Data at an output path that no build of ours left there: it may be the only copy.

A build writes its status before it writes data, and its attempt when it ends. So data without a
status, an attempt or a record beside it came from elsewhere: a checkpoint that was copied without
its dot files, a download, an export. It is never cleared, unless a person allows that.

A lease alone proves nothing under our own lease. Before that, it says that another run may be about
to write the status. What an interrupted `adopt` left proves nothing either: it registers data that
no build made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt
from marin_build.protocol.lease import ADOPTING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.store.base import Store

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ForeignData:
    """What lies at an output path and is not ours.

    Args:
        files: how many files; none: only empty folders.
        size: their bytes.
        paths: some of them, inside the output.
        listing: sha-256 of all paths and sizes: other data has another one.

    """

    files: int
    size: int
    paths: tuple[str, ...]
    listing: str


@dataclass(frozen=True, slots=True)
class OwnData:
    """Data beside which a build of ours, or of another executor, left its files."""


def find_data(
    store: Store, output: str, *, is_held: bool = False, adopting: bool = False
) -> ForeignData | OwnData | None:
    """Return whose the data at an output path is; None if there is none.

    A remote store is asked once. Of a local folder only the names right in it are read, unless
    there is such data.

    Args:
        store: where the output lives.
        output: the output path.
        is_held: whether the lease that lies there is our own.
        adopting: whether lease and status are those of an `adopt` that was interrupted.

    Raises:
        StoreError: the output cannot be listed.

    """
    if not store.is_local:
        files = store.files(output)
        names = {file.path.partition("/")[0] for file in files} - {""}
        start = f"{layout.LOGS}/"
        logs = [file.path.removeprefix(start) for file in files if file.path.startswith(start)]
    else:
        inside = [path.rpartition("/")[2] for path in store.folders(f"{output}/")]
        names = {*inside, *store.list(output)}
        logs = None
    if not has_data(names):
        return None
    proofs = {layout.RECORD, *(() if adopting else (layout.STATUS,))}
    if not is_held and not adopting:
        proofs.add(layout.LEASE)
    if not proofs.isdisjoint(names):
        return OwnData()
    if logs is None:
        logs = store.list(f"{output}/{layout.LOGS}") if layout.LOGS in names else []
        files = ()
    if _has_build(store, output, logs):
        return OwnData()
    files = files or store.files(output)
    data = [file for file in files if not layout.is_ours(file.path.partition("/")[0])]
    text = "".join(f"{file.path}\0{file.size}\n" for file in data)
    return ForeignData(
        files=len(data),
        size=sum(file.size for file in data),
        paths=tuple(file.path for file in data[:_SHOWN]) or tuple(sorted(names))[:_SHOWN],
        listing=hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest(),
    )


def has_data(names: Iterable[str]) -> bool:
    """Return whether anything but files of ours is among the names right in an output."""
    return not all(map(layout.is_ours, names))


def _has_build(store: Store, output: str, logs: Iterable[str]) -> bool:
    """Return whether one of the attempts at an output was a build, not the start of an `adopt`."""
    numbers = [number for name in logs if (number := layout.attempt_number(name))]
    blobs = store.get_many([layout.attempt_path(output, number) for number in numbers])
    return any(blob is not None and _is_build(blob.data) for blob in blobs)


def _is_build(data: bytes) -> bool:
    try:
        return not parse_attempt(data, "").run.startswith(ADOPTING)
    except CorruptStateError:
        return False
