"""Reads that go on where the system of a disk refuses one file or folder: several users share it.

A bucket answers for all of it, or not at all; there every refusal is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from marin_build.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.store.base import Blob, Store

T = TypeVar("T")

_AT_ONCE = 32


def each_folder(
    store: Store, ask: Callable[[str], T], folders: Sequence[str]
) -> dict[str, T | None]:
    """Return what a store answers about each folder; None: the system of a disk refuses to tell.

    Raises:
        StoreError: a remote store cannot be read.

    """

    def one(folder: str) -> T | None:
        try:
            return ask(folder)
        except StoreError:
            if not store.is_local:
                raise
            return None

    if store.is_local or not folders:
        return {folder: one(folder) for folder in folders}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(folders, pool.map(one, folders), strict=True))


def read_each(store: Store, paths: Sequence[str]) -> tuple[list[Blob | None], set[str]]:
    """Read files in one batch; return them, and those that the system of a disk refuses to read.

    Raises:
        StoreError: a remote store cannot be read.

    """
    try:
        return store.get_many(paths), set()
    except StoreError:
        if not store.is_local:
            raise
    found: list[Blob | None] = []
    denied = set()
    for path in paths:
        try:
            found.append(store.get(path))
        except StoreError:
            found.append(None)
            denied.add(path)
    return found, denied
