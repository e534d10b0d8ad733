"""The documents beside outputs, several of each and of many outputs in one batch."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.store.base import Store


def read_beside(
    store: Store, outputs: Sequence[str], names: Sequence[str]
) -> Iterator[list[bytes | None]]:
    """Yield what lies beside each output: the bytes of its files of these names; None: not there.

    Args:
        store: where they live.
        outputs: the output paths.
        names: of the files, as in `layout`.

    Raises:
        StoreError: the store cannot be read.

    """
    blobs = iter(store.get_many([f"{output}/{name}" for output in outputs for name in names]))
    for _ in outputs:
        yield [blob.data if blob is not None else None for blob in islice(blobs, len(names))]
