"""What lies in the outputs that a report is about: their files, and what is seen of some."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.emit.report.facts import Contents, Preview
from marin_build.observe.preview_files import preview_files
from marin_build.observe.read_pictures import read_pictures
from marin_build.observe.table_rows import Extent
from marin_build.protocol.manifest import own_files_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.observe.read_made import MadeOutput
    from marin_build.observe.read_pictures import Picture
    from marin_build.store.base import Store


_ON_A_PAGE = Extent(lines=60, rows=13, columns=12, line=240, cell=80)
_MOST_FILES = 30
_MOST_LOOKED_INTO = 40
"""How many requested outputs have their files read: a person does not look at more."""
_MOST_PICTURES = 10
_MOST_PICTURE_BYTES = 12 << 20
"""Of all pictures together: mail carries no larger page."""
_AT_ONCE = 16


def contents_of(store: Store, made: Sequence[MadeOutput]) -> dict[str, Contents]:
    """Return what lies in outputs that are built, by target: of many, in the first ones only.

    Raises:
        StoreError: the store cannot be read.

    """
    looked_into = [one for one in made if one.output.is_built][:_MOST_LOOKED_INTO]
    with ThreadPoolExecutor(1 if store.is_local else _AT_ONCE) as pool:
        found = list(pool.map(lambda one: _read_contents(store, one.output.data), looked_into))
    left = _MOST_PICTURE_BYTES
    contents: dict[str, Contents] = {}
    for one, read in zip(looked_into, found, strict=True):
        previews: list[Preview] = []
        for preview in read.previews:
            if len(preview.data) > left:
                problem = "the pictures before it are as much as a page holds"
                previews.append(Preview(path=preview.path, kind="named", problem=problem))
            else:
                previews.append(preview)
                left -= len(preview.data)
        contents[one.output.target] = replace(read, previews=tuple(previews))
    return contents


def _read_contents(store: Store, place: str) -> Contents:
    files = own_files_of(store, place)
    texts = preview_files(store, place, files, _ON_A_PAGE)
    pictures = read_pictures(store, place, files, _MOST_PICTURES)
    shown = [_picture(picture) for picture in pictures]
    shown += [
        Preview(path=p.path, kind=p.kind, lines=p.lines, rows=p.rows, is_cut=p.is_cut)
        for p in texts
        if p.kind in ("table", "text")
    ]
    return Contents(
        files=tuple((file.path, file.size) for file in files[:_MOST_FILES]),
        count=len(files),
        size=sum(file.size for file in files),
        previews=tuple(shown),
    )


def _picture(picture: Picture) -> Preview:
    if picture.problem:
        return Preview(path=picture.path, kind="named", problem=picture.problem)
    return Preview(path=picture.path, kind="picture", media=picture.kind, data=picture.data)
