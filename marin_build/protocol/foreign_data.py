"""Data at an output path that no build of ours left there: it may be the only copy.

A build writes its status before it writes data, and its attempt when it ends. So data without a
status, an attempt or a record beside it came from elsewhere: a checkpoint that was copied without
its dot files, a download, an export. It is never cleared, unless a person allows that.

A lease alone proves nothing under our own lease. Before that, it says that another run may be about
to write the status.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.protocol import layout

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


def find_data(store: Store, output: str, *, is_held: bool = False) -> ForeignData | OwnData | None:
    """Return whose the data at an output path is; None if there is none.

    A remote store is asked once. Of a local folder only the names right in it are read, unless
    there is such data.

    Args:
        store: where the output lives.
        output: the output path.
        is_held: whether the lease that lies there is our own.

    Raises:
        StoreError: the output cannot be listed.

    """
    if not store.is_local:
        files = store.files(output)
        names = {file.path.partition("/")[0] for file in files} - {""}
        start = f"{layout.LOGS}/"
        logs = [file.path.removeprefix(start) for file in files if file.path.startswith(start)]
        if not has_data(names):
            return None
        if _is_proven(names, logs, is_held=is_held):
            return OwnData()
    else:
        inside = [path.rpartition("/")[2] for path in store.folders(f"{output}/")]
        names = {*inside, *store.list(output)}
        if not has_data(names):
            return None
        logs = store.list(f"{output}/{layout.LOGS}") if layout.LOGS in names else []
        if _is_proven(names, logs, is_held=is_held):
            return OwnData()
        files = store.files(output)
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


def _is_proven(names: Iterable[str], logs: Iterable[str], *, is_held: bool) -> bool:
    """Return whether a build left its status, its record, an attempt or, before ours, its lease."""
    proofs = {layout.STATUS, layout.RECORD, *(() if is_held else (layout.LEASE,))}
    return not proofs.isdisjoint(names) or any(map(layout.attempt_number, logs))
