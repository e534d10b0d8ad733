"""What people see on a terminal: the same words as in a file, in colours, as wide as the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, PATIENCE, PROGRAM

if TYPE_CHECKING:
    from .support import Project

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _on_terminal(project: Project, columns: int, *args: str) -> str:
    """Return what a command writes on a terminal of that width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**project.environ(), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [PROGRAM, *args],
        cwd=project.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # how Linux tells that the other side is closed
                break
            if not read:
                break
            written += read
        process.wait(PATIENCE)
    os.close(ours)
    return written.decode()


@pytest.mark.parametrize("columns", [200, 60])
def test_a_plan_has_the_words_of_the_file_and_fits_the_screen(
    project: Project, columns: int
) -> None:
    """Else people see other things than they save, or lines that break anywhere."""
    project.pipeline(DIAMOND)
    project.run("apply")
    options = ("plan", "--set", "lines=4", "--blast-radius")
    plain = project.run(*options).out
    shown = _on_terminal(project, columns, *options)
    assert "\x1b[" in shown
    text = _ESCAPE.sub("", shown)
    assert sorted(text.split()) == sorted(plain.split())
    rows = [line.rstrip() for line in text.splitlines() if not line.startswith(("plan ", "to "))]
    assert max(map(len, rows)) <= columns


def test_colours_can_be_refused(project: Project) -> None:
    project.pipeline(DIAMOND)
    project.environment["NO_COLOR"] = "1"
    assert "\x1b[3" not in _on_terminal(project, 100, "plan")
