"""Previews of files: little is read, and nothing of it harms a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.observe.preview_files import preview_files
from marin_build.store.base import File
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.observe.preview_files import Preview


def _previews(folder: Path, **files: bytes) -> dict[str, Preview]:
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    store = LocalStore()
    found = preview_files(store, str(folder), store.files(str(folder)))
    return {preview.path: preview for preview in found}


def test_texts_and_tables_are_shown_from_their_beginning(tmp_path: Path) -> None:
    """Else a user opens ten files to find the one with the score."""
    found = _previews(
        tmp_path,
        a__txt=b"one\ntwo\n",
        b__csv=b'name,score\n"x, y",1\n',
        c__tsv=b"a\tb\n",
        d__md="\ufeffä\n".encode(),
        long__log=b"line\n" * 11,
    )
    assert found["a.txt"].lines == ("one", "two")
    assert found["b.csv"].rows == (("name", "score"), ("x, y", "1"))
    assert found["c.tsv"].rows == (("a", "b"),)
    assert found["d.md"].lines == ("ä",)
    assert (len(found["long.log"].lines), found["long.log"].is_cut) == (10, True)
    assert not found["a.txt"].is_cut


def test_pictures_and_pages_are_named_and_not_read(tmp_path: Path) -> None:
    """Else an SVG of a megabyte is printed as text."""
    found = _previews(tmp_path, plot__PNG=b"\x89PNG\0", page__html=b"<b>", drawn__svg=b"<svg/>")
    kinds = {"plot.PNG": "picture", "page.html": "page", "drawn.svg": "picture"}
    assert {path: (p.kind, p.lines) for path, p in found.items()} == {
        path: (kind, ()) for path, kind in kinds.items()
    }


def test_other_data_has_no_preview(tmp_path: Path) -> None:
    """Else a checkpoint is printed at the terminal."""
    assert _previews(tmp_path, a__bin=b"ab\0cd", b__npy=b"\xff\xfe\xfd", empty__txt=b"") == {}


def test_a_character_at_the_end_of_what_was_read_may_be_cut(tmp_path: Path) -> None:
    """Else a long text in Russian passes for binary data."""
    text = "я" * 200_000
    found = _previews(tmp_path, a__txt=b"x" + text.encode())
    assert found["a.txt"].is_cut
    assert found["a.txt"].lines[0].startswith("xяя")


@pytest.mark.parametrize("name", ["a__txt", "a__csv"])
def test_what_is_shown_moves_no_cursor(tmp_path: Path, name: str) -> None:
    """Else an output can write on the terminal of whoever looks at it."""
    (preview,) = _previews(tmp_path, **{name: "\x1b[2Jx\u202e,\x07\n".encode()}).values()
    shown = "".join(preview.lines) + "".join(cell for row in preview.rows for cell in row)
    assert shown.isprintable()
    assert "\\x1b[2Jx\\u202e" in shown


def test_wide_tables_and_long_lines_are_cut(tmp_path: Path) -> None:
    """Else one line fills the terminal."""
    row = b",".join(b"x" * 99 for _ in range(20)) + b"\n"
    found = _previews(tmp_path, a__csv=row, b__txt=b"y" * 9999)
    (cells,) = found["a.csv"].rows
    assert (len(cells), cells[-1], max(map(len, cells))) == (9, "and 12 more", 32)
    assert len(found["b.txt"].lines[0]) == 160


def test_links_and_pipes_in_an_output_are_not_read(tmp_path: Path) -> None:
    """Else a look at another user's output reads one's own secrets, or waits for ever."""
    (tmp_path / "secret").write_text("secret\n")
    output = tmp_path / "output"
    output.mkdir()
    (output / "link.txt").symlink_to(tmp_path / "secret")
    os.mkfifo(output / "pipe.txt")
    files = [File("link.txt", 7), File("pipe.txt", 7), File("gone.txt", 7)]
    assert preview_files(LocalStore(), str(output), files) == []


def test_of_a_bucket_only_small_files_are_read() -> None:
    """Else a look at an output downloads a checkpoint."""

    class Counting(MemoryStore):
        read: tuple[str, ...] = ()

        def get(self, path: str):  # type: ignore[no-untyped-def]
            self.read = (*self.read, path)
            return super().get(path)

    store = Counting()
    store.put("gs://b/out/a.txt", b"small\n")
    files = [File("a.txt", 6), File("big.txt", 1 << 30)]
    (preview,) = preview_files(store, "gs://b/out", files)
    assert (preview.lines, store.read) == (("small",), ("gs://b/out/a.txt",))


def test_few_of_many_files_are_read(tmp_path: Path) -> None:
    """Else an output of a million shards is read for minutes."""
    found = _previews(tmp_path, **{f"part{i:03}__txt": b"x\n" for i in range(100)})
    assert len(found) == 5
