"""One line of a log, shown while its step runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build.observe.read_logs import last_line, last_shown

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("one\ntwo\n", "two"),
        ("one\ntw", "tw"),
        ("one\n\n  \n", "one"),
        ("75%\r\n", "75%"),
        ("\x1b[1;31mred\x1b[0m\x1b[2K\tx\n", "red x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07\n", "link"),
        ("\x1b[", "\\x1b["),
        ("a\x07b\x00\x7f\u202e\n", "a\\x07b\\x00\\x7f\\u202e"),
        ("x" * 9999, "x" * 400),
    ],
)
def test_the_last_line_is_what_a_terminal_would_show(text: str, expected: str) -> None:
    """Else people see blanks, codes or a time stamp instead of what the step said last."""
    assert last_shown(text) == expected


def _log(folder: Path, number: int, text: str, at: float) -> None:
    path = folder / f"attempt-{number:04}.log"
    path.write_text(text)
    os.utime(path, (at, at))


def test_only_the_attempt_that_runs_is_asked(tmp_path: Path) -> None:
    """Else what an earlier attempt said looks like what this one says."""
    folder = str(tmp_path)
    assert last_line(folder, NOW) == ""
    assert last_line(f"{folder}/missing", NOW) == ""
    _log(tmp_path, 1, "an earlier run, killed\n", NOW - 60)
    assert last_line(folder, NOW) == ""
    _log(tmp_path, 2, "this one\n", NOW + 5)
    assert last_line(folder, NOW) == "this one"
    (tmp_path / "attempt-0002.json").touch()
    assert last_line(folder, NOW) == ""
    (tmp_path / "attempt-0003.log").mkdir()
    assert last_line(folder, NOW) == ""


def test_the_time_of_a_line_is_left_out(tmp_path: Path) -> None:
    """Else half of a row says when, where it stands already for how long."""
    at = "2026-11-22T09:10:11.123Z"
    _log(tmp_path, 1, f"{at} loss 0.5\n{at} \n", NOW)
    assert last_line(str(tmp_path), NOW) == "loss 0.5"


def test_of_a_long_log_the_end_is_read(tmp_path: Path) -> None:
    """Else a log of gigabytes holds up what is drawn."""
    _log(tmp_path, 1, "é" * 100_000 + "\nthe end\n", NOW)
    assert last_line(str(tmp_path), NOW) == "the end"
    _log(tmp_path, 1, "." + "é" * 100_000, NOW)
    assert last_line(str(tmp_path), NOW).endswith("é" * 399)
