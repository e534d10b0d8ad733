"""The block of a failure: whatever a step printed, it is told in twenty harmless lines."""

from __future__ import annotations

import sysconfig
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import marin_build
from marin_build.cli.views.failure_text import failure_block
from marin_build.observe.read_logs import cut_tracebacks, log_tail
from marin_build.plan.outcomes import Failed

if TYPE_CHECKING:
    from pathlib import Path

STDLIB = sysconfig.get_paths()["stdlib"]
FAILED = Failed(2, 1, "ValueError: no\nnot at all", "", 1.0)


def _block(failure: Failed, **changed: object) -> list[str]:
    given = {"blocked": [], "went_on": 0, "not_started": 0, "hint": "do this"} | changed
    return failure_block("train", failure, **given).splitlines()  # type: ignore[arg-type]


def test_a_block_with_everything(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("hello\n")
    failure = replace(FAILED, exit_code=139, log=str(log))
    head, *lines = _block(failure, blocked=list("abcdefg"), went_on=3, not_started=1)[1:]
    assert "error: `train` failed with exit code 139 (attempt 2): ValueError: no" in head
    assert lines == [
        "  | hello",
        "  means:   SIGSEGV: a crash in compiled code",
        f"  log:     {log}",
        "  blocked: a, b, c, d, e and 2 more",
        "  went on: 3 targets built since",
        "  not started: 1 (-k goes on with what can be built)",
        "hint: do this",
    ]


def test_a_message_that_ends_the_log_is_told_once(tmp_path: Path) -> None:
    """Else a reader compares two equal lines for a difference between them."""
    log = tmp_path / "log"
    log.write_text("Traceback (most recent call last):\nValueError: no\nnot at all\n")
    assert sum("ValueError: no" in line for line in _block(replace(FAILED, log=str(log)))) == 1


def test_a_block_says_nothing_where_there_is_nothing() -> None:
    lines = _block(replace(FAILED, attempt=0, message="", log="/nowhere"))
    assert lines[2:] == ["  log:     /nowhere", "hint: do this"]


def test_what_a_step_raised_moves_no_cursor() -> None:
    """Else an exception can hide that there was one."""
    assert "ValueError: \\x1b[2J" in _block(replace(FAILED, message="ValueError: \x1b[2J"))[1]


def test_a_log_is_told_from_its_end_and_moves_no_cursor(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 100_000 + b"".join(b"\n%d\x1b[2J\xff" % i for i in range(30)))
    lines = log_tail(str(log))
    assert (len(lines), lines[-1]) == (20, "29\ufffd[2J\ufffd")
    assert log_tail(str(tmp_path / "none")) == []


def _traceback_of(code: str, file: str) -> list[str]:
    try:
        exec(compile(code, file, "exec"), {})
    except ValueError:
        return traceback.format_exc().splitlines()
    raise AssertionError


def test_frames_of_libraries_are_counted() -> None:
    """Else twenty lines of a library hide the one line that is wrong."""
    lines = _traceback_of("import json\n\ndef load():\n    json.loads('{')\n\nload()", "/p/flow.py")
    found = cut_tracebacks(["before", *lines, "after"])
    assert '  File "/p/flow.py", line 4, in load' in found
    assert found[-3:-1] == ["  ... 3 frames of libraries", lines[-1]]
    assert (found[0], found[-1]) == ("before", "after")
    assert STDLIB not in "\n".join(found)


@pytest.mark.parametrize(
    "file",
    [
        f"{STDLIB}/json/decoder.py",
        "/venv/lib/python3.12/site-packages/jax/core.py",
        "/usr/lib/python3/dist-packages/numpy/core.py",
        "/usr/lib/python311.zip/json/decoder.py",
        "<frozen importlib._bootstrap>",
        str(marin_build.__file__),
    ],
)
def test_whose_frame_it_is(file: str) -> None:
    frames = ['  File "/home/ada/train.py", line 3, in f', "    g()",
              f'  File "{file}", line 3, in g', "    h()", "    ^^^"]  # fmt: skip
    assert cut_tracebacks(frames) == [*frames[:2], "  ... 1 frame of libraries"]
    assert cut_tracebacks(frames[2:]) == frames[2:], "the last one is left if there is no other"
    both = [*frames[2:], *frames[2:]]
    assert cut_tracebacks(both) == ["  ... 1 frame of libraries", *frames[2:]]


def test_what_repeats_goes_with_its_frame() -> None:
    repeats = "  [Previous line repeated 970 more times]"
    users = ['  File "/p/a.py", line 1, in f', "    f()"]
    library = ['  File "/x/site-packages/a.py", line 1, in f', "    f()", repeats]
    assert cut_tracebacks([*users, *library, "RecursionError"]) == [
        *users, "  ... 1 frame of libraries", "RecursionError",
    ]  # fmt: skip


def test_lines_that_are_no_frames_are_left() -> None:
    lines = ['  File "/x/site-packages/a.py", line 1', "    def", "       ^", "SyntaxError: x", ""]
    assert cut_tracebacks(lines) == lines
    assert cut_tracebacks([]) == []
