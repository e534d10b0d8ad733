"""What becomes of the process of a command: its exit code and its output."""

from __future__ import annotations

import io
import os
import sys

import pytest

from marin_build.pipeline.command_process import run_argv


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["sh", "-c", "exit 3"], 3),
        (["sh", "-c", "kill -9 $$"], 137),
        (["./no-such-program-here"], 127),
        ([__file__], 126),  # there, but no program
    ],
)
def test_the_exit_code_of_a_command_is_the_steps(argv: list[str], code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        run_argv(argv, os.getcwd())
    assert caught.value.code == code


def test_output_that_comes_in_pieces_is_text_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the log of a step in a thread has `\ufffd` for a letter that two reads share."""
    log = io.StringIO()
    monkeypatch.setattr(sys, "stdout", log)
    print_it = """
import fcntl, os, termios
for byte in b"\\xe2\\x82\\xac":
    os.write(1, bytes([byte]))
    while fcntl.ioctl(1, termios.FIONREAD, bytes(4)) != bytes(4):  # until it was read
        pass
os.write(1, b" \\xe2")
"""
    run_argv([sys.executable, "-c", print_it], os.getcwd())
    assert log.getvalue() == "\u20ac \ufffd"
