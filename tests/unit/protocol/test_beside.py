"""What lies beside many outputs is read at once, and each document is that of its own output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol.beside import read_beside
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob


class Counting(MemoryStore):
    """A store that counts its batches."""

    batches = 0

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        self.batches += 1
        return super().get_many(paths)


def test_many_documents_of_many_outputs_are_one_batch() -> None:
    """Else ten thousand outputs in a bucket are ten thousand round trips, or records are mixed."""
    store = Counting()
    store.put("mem://a/x", b"ax")
    store.put("mem://b/y", b"by")
    found = list(read_beside(store, ["mem://a", "mem://b", "mem://c"], ("x", "y")))
    assert found == [[b"ax", None], [None, b"by"], [None, None]]
    assert store.batches == 1
