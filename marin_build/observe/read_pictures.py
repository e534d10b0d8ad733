"""Pictures among the files of an output, whole and of bounded size, for a page that holds them.

What a file is, its first bytes say and not its name. A browser shows all of these as pictures only:
it runs no script in them and asks for nothing.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from marin_build.text.readable import bytes_text
from marin_build.workspace.own_files import read_own
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import File, Store


SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".svg")
LARGEST = 2 << 20
"""Bytes of the largest picture that is read."""
_MOST_PIXELS = 40_000_000
"""More may be a small file that takes all memory of the browser that shows it."""
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Of JPEG: after one of these stands the size."""
_SVG = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, or why it is not there.

    Args:
        path: inside the output.
        kind: its media type, `image/png`; empty without it.
        data: its bytes; empty without it.
        problem: why it is not there, in words; empty if it is.

    """

    path: str
    kind: str = ""
    data: bytes = b""
    problem: str = ""


def read_pictures(store: Store, output: str, files: Sequence[File], most: int) -> list[Picture]:
    """Return the pictures of an output; what is too large or no picture is only named.

    Args:
        store: holds the output.
        output: where its data lies.
        files: those of the output.
        most: how many pictures are read; further ones are named.

    Raises:
        StoreError: the store cannot be read.

    """
    found: list[Picture] = []
    for file in files:
        if not file.path.lower().endswith(SUFFIXES):
            continue
        if len(found) >= most:
            found.append(Picture(file.path, problem=f"only the first {most} pictures are shown"))
        elif file.size > LARGEST:
            problem = f"{bytes_text(file.size)}; pictures of up to {bytes_text(LARGEST)} are shown"
            found.append(Picture(file.path, problem=problem))
        else:
            found.append(_picture(file.path, _read(store, f"{output}/{file.path}")))
    return found


def _read(store: Store, path: str) -> bytes | None:
    if is_url(path):
        blob = store.get(path)
        return blob.data if blob is not None and len(blob.data) <= LARGEST else None
    try:
        return read_own(path, LARGEST)
    except (OSError, ValueError):
        return None


def _picture(path: str, data: bytes | None) -> Picture:
    if data is None:
        return Picture(path, problem="it cannot be read")
    kind, pixels = kind_of(data)
    if not kind:
        what = os.path.splitext(path)[1].lstrip(".").upper()
        return Picture(path, problem=f"it is no picture of the kind {what} that can be shown")
    if pixels > _MOST_PIXELS:
        return Picture(path, problem=f"{pixels // 1_000_000} megapixels are too many to show")
    return Picture(path, kind, data)


def kind_of(data: bytes) -> tuple[str, int]:
    """Return the media type of a picture and its pixels, 0 if unknown; an empty type for others."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) > 24:  # noqa: PLR2004 - its head
        return "image/png", _area(data[16:20], data[20:24], "big")
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) > 10:  # noqa: PLR2004 - its head
        return "image/gif", _area(data[6:8], data[8:10], "little")
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg", _pixels_of_jpeg(data)
    # An entity can stand for a thousand others, and so on: a page would never be shown.
    if b"<!ENTITY" not in data and _SVG.match(data.removeprefix(b"\xef\xbb\xbf")[:100_000]):
        return "image/svg+xml", 0
    return "", 0


def _area(width: bytes, height: bytes, order: Literal["big", "little"]) -> int:
    return int.from_bytes(width, order) * int.from_bytes(height, order)


def _pixels_of_jpeg(data: bytes) -> int:
    """Return the pixels by the first frame header; 0 if there is none."""
    place = 2
    while place + 9 < len(data) and data[place] == 0xFF:  # noqa: PLR2004 - begins a marker
        marker = data[place + 1]
        if marker in _FRAME_MARKERS:
            return _area(data[place + 5 : place + 7], data[place + 7 : place + 9], "big")
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return 0
