"""From a prefix to the store that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.workspace import is_url

if TYPE_CHECKING:
    from marin_build.store.base import Store


def open_store(prefix: str) -> Store:
    """Return the store of a prefix.

    Raises:
        StoreError: unknown scheme or missing extra.

    """
    if is_url(prefix):
        from marin_build.store.remote import FsspecStore

        return FsspecStore(prefix)
    from marin_build.store.local import LocalStore

    return LocalStore()
