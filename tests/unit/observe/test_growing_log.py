"""What is read of a log while it grows: every line once, whole, whatever is in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.observe.growing_log import GrowingLog, log_of_running, logs_in
from marin_build.protocol.log_format import stamp

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20)


def _written(lines: list[str]) -> bytes:
    return b"".join(
        stamp(1_700_000_000 + i) + line.encode() + b"\n" for i, line in enumerate(lines)
    )


@given(st.lists(TEXT, max_size=8), st.lists(st.integers(0, 400), max_size=6), st.booleans())
def test_each_line_comes_once_and_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[int], moves: bool
) -> None:
    """Else halves of lines stand in a log of CI, or some are missing or twice there."""
    path = tmp_path_factory.mktemp("log") / "attempt-0001.log"
    data, log, got = _written(lines), GrowingLog(), list[str]()
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])  # what a reader sees of a write that is under way
        got += log.new_lines(str(path))
    if moves:  # it was sent to its bucket, and is read whole from there
        got += log.rest_of(data)
    else:
        path.write_bytes(data)
        got += [*log.new_lines(str(path)), *log.last_line()]
    assert got == lines


def test_a_log_whose_middle_was_cut_out_goes_on_at_its_end(tmp_path: Path) -> None:
    """Else a step that prints much is shown twice, or no more."""
    path = tmp_path / "attempt-0001.log"
    path.write_bytes(_written(["one", "two", "three"]))
    log = GrowingLog()
    assert list(log.new_lines(str(path))) == ["one", "two", "three"]
    path.write_bytes(_written(["one"]))
    assert list(log.new_lines(str(path))) == []
    with path.open("ab") as stream:
        stream.write(_written(["four"]))
    assert list(log.new_lines(str(path))) == ["four"]


def test_one_reading_ends_and_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    """Else a step that prints without end keeps its run from everything else."""
    path = tmp_path / "attempt-0001.log"
    path.write_bytes(b"\xff\xfe\n" + b"x" * (3 << 20))
    log = GrowingLog()
    first = list(log.new_lines(str(path)))
    assert first[0] == "\ufffd\ufffd"
    assert log.read == 1 << 20
    assert max(map(len, first)) < 1 << 18


def test_a_link_in_the_place_of_a_log_is_not_followed(tmp_path: Path) -> None:
    """Else a step shows a file that its readers must not see."""
    (tmp_path / "secret").write_text("the key\n")
    (tmp_path / "attempt-0001.log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="attempt-0001"):
        list(GrowingLog().new_lines(str(tmp_path / "attempt-0001.log")))


def test_only_the_log_of_an_attempt_that_runs_and_is_ours_is_followed(tmp_path: Path) -> None:
    """Else an older attempt's lines are shown as this one's."""
    folder = str(tmp_path)
    assert log_of_running(f"{folder}/none", ()) is None
    for name in ("attempt-0001.log", "attempt-0001.json", "attempt-0002.log", "notes.log"):
        (tmp_path / name).touch()
    assert logs_in(folder) == {1, 2}
    assert log_of_running(folder, ()) == 2
    assert log_of_running(folder, {1, 2}) is None  # another run left it
    (tmp_path / "attempt-0003.log").touch()
    assert log_of_running(folder, {1, 2}) == 3
    (tmp_path / "attempt-0003.json").touch()
    assert log_of_running(folder, {1, 2}) is None
