"""Looks into the files of an output: the first lines of texts, the first rows of tables.

No more is read than a person sees, and only regular files. Files in a bucket can only be read
whole, so only small ones are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from marin_build.observe.table_rows import ON_A_TERMINAL, cut, table_rows
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.own_files import open_own
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.observe.table_rows import Extent
    from marin_build.store.base import File, Store


Kind = Literal["text", "table", "picture", "page"]
_TO_OPEN: dict[str, Kind] = {
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".bmp"), "picture"),
    **dict.fromkeys((".html", ".htm", ".pdf"), "page"),
}
"""What another program shows."""
_HEAD = 16 << 10
"""Bytes that are read of a file on a disk."""
_LARGEST_REMOTE = 256 << 10
"""Bytes of the largest file that is read from a bucket."""
_MOST_READ = 5
_MOST_TO_OPEN = 10


@dataclass(frozen=True, slots=True)
class Preview:
    """What a person may see of a file.

    Args:
        path: inside the output.
        kind: pictures and pages, which another program shows, have neither lines nor rows.
        lines: of a text, each cut to a length; nothing in them moves a cursor.
        rows: of a table, the same for each cell.
        is_cut: whether there is more of it.

    """

    path: str
    kind: Kind
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    is_cut: bool = False


def preview_files(
    store: Store, output: str, files: Sequence[File], extent: Extent = ON_A_TERMINAL
) -> list[Preview]:
    """Return what may be seen of the first few files that have something to see.

    Args:
        store: holds the output.
        output: where its data lies.
        files: those of the output.
        extent: how much of each is shown.

    Raises:
        StoreError: the store cannot be read.

    """
    to_open = [file.path for file in files if _suffix(file.path) in _TO_OPEN][:_MOST_TO_OPEN]
    found: list[Preview] = []
    for path, head, is_whole in _heads(store, output, files):
        preview = _preview(path, head, extent, is_whole=is_whole)
        if preview is not None:
            found.append(preview)
        if len(found) == _MOST_READ:
            break
    return found + [Preview(path, _TO_OPEN[_suffix(path)]) for path in to_open]


def _heads(store: Store, output: str, files: Sequence[File]) -> Iterator[tuple[str, bytes, bool]]:
    """Yield path and first bytes of files that may be texts, and whether these are all bytes."""
    tried = 0
    for file in files:
        if not file.size or _suffix(file.path) in _TO_OPEN:
            continue
        tried += 1
        if tried > 2 * _MOST_READ:
            return
        if not is_url(output):
            head = _local_head(f"{output}/{file.path}")
            if head is not None:
                yield file.path, head[:_HEAD], len(head) <= _HEAD
        elif file.size <= _LARGEST_REMOTE:
            blob = store.get(f"{output}/{file.path}")
            if blob is not None:
                yield file.path, blob.data[:_HEAD], len(blob.data) <= _HEAD


def _local_head(path: str) -> bytes | None:
    """Return the first bytes of a file, one more than are shown; None if it is none, or a link."""
    try:
        with open(open_own(path, os.O_RDONLY, any_folder=True), "rb") as stream:
            return stream.read(_HEAD + 1)
    except (OSError, ValueError):
        return None


def _preview(path: str, head: bytes, extent: Extent, *, is_whole: bool) -> Preview | None:
    """Return the preview of a text or a table; None for other data."""
    text = _text(head, is_whole=is_whole)
    if text is None:
        return None
    lines = text.splitlines()
    if not is_whole and len(lines) > 1:
        lines.pop()  # its end was not read
    table = table_rows(_suffix(path), lines, extent)
    if table is not None:
        return Preview(path, "table", rows=table.rows, is_cut=table.is_cut or not is_whole)
    shown = tuple(cut(line, extent.line) for line in lines[: extent.lines])
    return Preview(path, "text", shown, is_cut=not is_whole or len(lines) > extent.lines)


def _text(head: bytes, *, is_whole: bool) -> str | None:
    """Return bytes as text; None if they are none. A character at the end may be cut."""
    if b"\0" in head:
        return None
    for left_out in range(1 if is_whole else 4):
        try:
            return head[: len(head) - left_out].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return None


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].lower()
