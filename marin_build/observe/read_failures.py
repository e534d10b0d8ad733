"""The newest attempt at each of some outputs whose status says that it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.plan.snapshot import LastAttempt
from marin_build.protocol import layout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Store


_LISTINGS_AT_ONCE = 32


def read_failures(store: Store, outputs: Sequence[str]) -> dict[str, LastAttempt]:
    """Return output path -> its newest attempt; an output without attempts is left out.

    It takes a listing for each output, and one batch of reads.

    Raises:
        StoreError: the store cannot be read.

    """
    newest: list[tuple[str, int, str]] = []
    folders = [f"{output}/{layout.LOGS}" for output in outputs]
    for output, names in zip(outputs, _list_all(store, folders), strict=True):
        number = max((layout.attempt_number(name) or 0 for name in names), default=0)
        if number:
            newest.append((output, number, layout.attempt_path(output, number)))
    blobs = store.get_many([path for _, _, path in newest])
    return {
        output: _last_attempt(blob.data if blob is not None else b"", number, path)
        for (output, number, path), blob in zip(newest, blobs, strict=True)
    }


def _last_attempt(data: bytes, number: int, path: str) -> LastAttempt:
    """Return what a failed attempt's document says.

    If it is not readable, the status still says that the target failed, so it is built again.
    """
    from marin_build.protocol.attempt_reader import parse_attempt  # only failures are read

    try:
        said = parse_attempt(data, path)
        return LastAttempt(
            number, said.exit_code, said.message, said.worker, said.end, said.is_finished
        )
    except CorruptStateError:
        return LastAttempt(number, None, f"its document is not readable: {path}", "", None)


def _list_all(store: Store, folders: Sequence[str]) -> list[list[str]]:
    """Return the names in each folder; a remote store is asked for many at once."""
    if store.is_local or not folders:
        return [store.list(folder) for folder in folders]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
        return list(pool.map(store.list, folders))
