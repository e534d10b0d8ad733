"""Pictures of outputs: by what they are and not by what they are called, and of bounded size."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest

from marin_build.observe.read_pictures import LARGEST, Picture, kind_of, read_pictures
from marin_build.protocol.manifest import manifest_of
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path


def png(width: int, height: int) -> bytes:
    """Return the beginning of a picture, which is all that is read of it."""
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"more"


def jpeg(width: int, height: int) -> bytes:
    head = b"\xff\xd8\xff\xe0\0\4JF"
    return head + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + b"more"


GIF = b"GIF89a" + struct.pack("<HH", 3, 2) + b"more"
SVG = b'<?xml version="1.0"?>\n<!-- made -->\n<!DOCTYPE svg PUBLIC "x">\n<svg xmlns="y"></svg>'


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (png(3, 2), ("image/png", 6)),
        (jpeg(3, 2), ("image/jpeg", 6)),
        (b"\xff\xd8\xff", ("image/jpeg", 0)),
        (b"\xff\xd8\xff" * 10, ("image/jpeg", 0)),
        (GIF, ("image/gif", 6)),
        (SVG, ("image/svg+xml", 0)),
        (b"\xef\xbb\xbf<svg>", ("image/svg+xml", 0)),
        (b"<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>", ("", 0)),
        (b"<html><svg>", ("", 0)),
        (b"<svgx>", ("", 0)),
        (b"\x89PNG\r\n\x1a\n", ("", 0)),
        (b"", ("", 0)),
    ],
)
def test_the_first_bytes_say_what_a_picture_is(data: bytes, kind: tuple[str, int]) -> None:
    """Else a page that is called a picture is handed to a browser as one."""
    assert kind_of(data) == kind


def test_what_is_no_picture_or_too_large_is_named_with_the_reason(tmp_path: Path) -> None:
    """Else a report cannot be mailed, or a picture is silently missing."""
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(1, 1))
    output = tmp_path / "out"
    output.mkdir()
    (output / "a.PNG").write_bytes(png(3, 2))
    (output / "b.png").write_bytes(b"<html>")
    (output / "c.png").write_bytes(png(40_000, 40_000))
    with (output / "d.png").open("wb") as stream:
        stream.truncate(LARGEST + 1)
    (output / "e.svg").symlink_to(outside)
    os.mkfifo(output / "f.jpg")
    (output / "g.txt").write_bytes(png(3, 2))
    (output / "h.png").write_bytes(png(3, 2))
    store = LocalStore()
    found = read_pictures(store, str(output), manifest_of(store, str(output)), 6)
    problems = {picture.path: picture.problem for picture in found}
    assert found[0] == Picture("a.PNG", "image/png", png(3, 2))
    assert problems.pop("a.PNG") == ""
    assert problems.pop("b.png") == "it is no picture of the kind PNG that can be shown"
    assert problems.pop("c.png") == "1600 megapixels are too many to show"
    assert problems.pop("d.png") == "2.0 MiB; pictures of up to 2.0 MiB are shown"
    assert problems.pop("e.svg", "it cannot be read") == "it cannot be read", "links lead outside"
    assert problems.pop("f.jpg", "it cannot be read") == "it cannot be read"
    assert "g.txt" not in problems


def test_of_many_pictures_the_first_ones_are_read(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(png(1, 1))
    store = LocalStore()
    found = read_pictures(store, str(tmp_path), manifest_of(store, str(tmp_path)), 2)
    assert [bool(picture.data) for picture in found] == [True, True, False]
    assert found[2].problem == "only the first 2 pictures are shown"
