"""The zip of code: the same bytes for the same files, and back."""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from marin_build.workspace.code_zip import Entry, unzip, zip_digest, zip_of

if TYPE_CHECKING:
    from pathlib import Path

ENTRIES = [
    Entry("pipeline.py", b"print('a')\n"),
    Entry("bin/run", b"#!/bin/sh\n", is_program=True),
    Entry("data/a\nb 'c' \"d\" \\e.txt", b"\x00\xff"),
    Entry("n\u00e4me/\u65e5\u672c.py", "ü".encode()),
    Entry("empty", b""),
    Entry("link", b"bin/run", is_link=True),
    Entry("z/up", b"../data", is_link=True),
]


def test_equal_files_make_equal_zips_in_any_order() -> None:
    """Else the same code is sent again for each run, and a plan's digest says nothing."""
    data = zip_of(ENTRIES)
    assert zip_of(reversed(ENTRIES)) == data
    # A change of the format would send all bundles once more: it is made on purpose, or not at all.
    assert zip_digest(data) == ("152a6c047393bab41c81cabe27f32c9d0a63bffccd9c698e0ec6746279e49c9e")


def test_a_zip_brings_back_what_was_in_it(tmp_path: Path) -> None:
    """Else code does not run in a job as it does here."""
    unzip(zip_of(ENTRIES), str(tmp_path))
    for entry in ENTRIES:
        path = tmp_path / entry.path
        assert path.is_symlink() == entry.is_link
        if entry.is_link:
            assert os.fsencode(os.readlink(path)) == entry.data
        else:
            assert path.read_bytes() == entry.data
            assert os.access(path, os.X_OK) == entry.is_program
    assert sum(len(files) for _, _, files in os.walk(tmp_path)) + 1 == len(ENTRIES)


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "a//b", "./a", "a/", ""])
def test_nothing_is_written_outside_the_folder(tmp_path: Path, name: str) -> None:
    """Else who can write the prefix can write any file of a node."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name or "x"), b"x")
    data = stream.getvalue() if name else b"no zip"
    folder = tmp_path / "in"
    folder.mkdir()
    with pytest.raises(ValueError, match=r"entry|not a zip"):
        unzip(data, str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    """Else a link that leads out of the folder, and a file below it, do the same."""
    folder = tmp_path / "in"
    folder.mkdir()
    data = zip_of([Entry("a", b"..", is_link=True), Entry("a/out", b"x")])
    with pytest.raises(OSError, match="exists"):
        unzip(data, str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
