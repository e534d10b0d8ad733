"""One file that may not be read hides itself on a disk; a bucket that refuses hides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store.memory import MemoryStore
from marin_build.store.refusals import each_folder, read_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob


class Guarded(MemoryStore):
    """A store that refuses what is called `secret`."""

    def __init__(self, *, is_local: bool) -> None:
        super().__init__()
        self.is_local = is_local
        for name in ("a", "secret", "b"):
            self.put(f"/out/{name}/file", name.encode())

    def get(self, path: str) -> Blob | None:
        if "secret" in path:
            raise StoreError(f"cannot read `{path}`")
        return super().get(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        return [self.get(path) for path in paths]

    def list(self, folder: str) -> list[str]:
        if "secret" in folder:
            raise StoreError(f"cannot list `{folder}`")
        return super().list(folder)


PATHS = ["/out/a/file", "/out/secret/file", "/out/nothing/file", "/out/b/file"]
FOLDERS = ["/out/a", "/out/secret", "/out/nothing"]


def test_on_a_disk_everything_else_is_read() -> None:
    store = Guarded(is_local=True)
    found, denied = read_each(store, PATHS)
    assert [blob.data if blob is not None else None for blob in found] == [b"a", None, None, b"b"]
    assert denied == {"/out/secret/file"}
    assert read_each(store, PATHS[:1])[1] == set()
    assert each_folder(store, store.list, FOLDERS) == {
        "/out/a": ["file"], "/out/secret": None, "/out/nothing": [],
    }  # fmt: skip


def test_in_a_bucket_a_refusal_is_an_error() -> None:
    """Else credentials that have expired make a full bucket look empty."""
    store = Guarded(is_local=False)
    with pytest.raises(StoreError, match="cannot read"):
        read_each(store, PATHS)
    with pytest.raises(StoreError, match="cannot list"):
        each_folder(store, store.list, FOLDERS)
    assert each_folder(store, store.list, FOLDERS[:1]) == {"/out/a": ["file"]}
    assert each_folder(store, store.list, []) == {}
