"""A terminal for the tests: the program runs on it, and what it would show can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyte

from .support import PATIENCE, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .support import Project

ROWS = 24
_TIMES = re.compile(r"\b\d+ min \d+ s\b")
_DRAWING = b"\r\x1b[2K"
"""How the program begins to draw over what it drew before."""
_GAP = re.compile(r"(?<=\S) {2,}")


@dataclass(slots=True)
class Terminal:
    """A program on a terminal of its own."""

    project: Project
    process: subprocess.Popen[bytes]
    ours: int
    screen: pyte.Screen
    stream: pyte.ByteStream
    written: bytearray = field(default_factory=bytearray)
    """All bytes that came, as they came."""
    _unseen: bytearray = field(default_factory=bytearray)

    @property
    def text(self) -> str:
        """What the screen shows now: its rows without the blanks at their ends."""
        return "\n".join(row.rstrip() for row in self.screen.display).rstrip() + "\n"

    @property
    def snapshot(self) -> str:
        """What the screen shows now, without what differs from run to run."""
        text = _TIMES.sub("1 s", self.text)
        return _GAP.sub("  ", self.project.mask(text))

    def wait_for(self, *words: str, without: str | None = None) -> None:
        """Read until the screen shows all these words, and not the other one."""
        self._read_until(
            lambda: (
                all(word in self.text for word in words)
                and (without is None or without not in self.text)
            )
        )

    def wait(self) -> int:
        """Read until the program ends; return its exit code."""
        self._read_until(lambda: False)
        return self.process.wait(PATIENCE)

    def resize(self, columns: int) -> None:
        """Tell the program that its terminal is narrower now. What it drew before stays."""
        _set_size(self.ours, columns)

    def send(self, number: int) -> None:
        """Send a signal to the program's process group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def _read_until(self, is_enough: Callable[[], bool]) -> None:
        """Read until it is enough, or until the program has ended.

        Drawings are looked at whole: one is complete when the next one begins.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            while (end := self._unseen.find(_DRAWING, 1)) > 0:
                self._show(end)
                if is_enough():
                    return
            ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it never came:\n{self.text}"
            try:
                data = os.read(self.ours, 65536)
            except OSError:  # how Linux tells that the other side is closed
                data = b""
            if not data:
                self._show(len(self._unseen))
                return
            self.written += data
            self._unseen += data

    def _show(self, count: int) -> None:
        self.stream.feed(bytes(self._unseen[:count]))
        del self._unseen[:count]


@contextmanager
def on_terminal(
    project: Project, *args: str, columns: int = 100, term: str = "xterm-256color"
) -> Iterator[Terminal]:
    """Run marin-build on a terminal; it does not outlive the block."""
    ours, theirs = pty.openpty()
    _set_size(theirs, columns)
    process = subprocess.Popen(
        [PROGRAM, *args],
        cwd=project.root,
        env={**project.environ(), "TERM": term},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        process_group=0,
    )
    os.close(theirs)
    screen = pyte.Screen(columns, ROWS)
    try:
        yield Terminal(project, process, ours, screen, pyte.ByteStream(screen))
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


@dataclass(slots=True)
class Shell:
    """An interactive shell on a terminal of its own."""

    ours: int
    unread: bytes = b""

    def type(self, line: str) -> list[str]:
        """Type a line with a Tab in it; return the words that the shell then has on it.

        Each word is printed between `<` and `>` by a command that is typed before the line.
        """
        self.send(f"{line}\x01printf '<%s>' \x05 end\r")  # Ctrl-A and Ctrl-E: to its begin and end
        first = line.split(maxsplit=1)[0]
        found = self.wait_for(rf"<{first}>((?:<[^<>\r\n]*>)*?)<end>")
        return found[1].strip("<>").split("><")

    def send(self, text: str) -> None:
        """Press keys."""
        os.write(self.ours, text.encode())

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Read until the shell has written something, and forget it."""
        deadline = time.monotonic() + PATIENCE
        while (found := re.search(pattern, self.unread.decode(errors="replace"))) is None:
            ready, _, _ = select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it never came: {self.unread!r}"
            self.unread += os.read(self.ours, 65536)
        self.unread = b""
        return found


@contextmanager
def shell_on_terminal(project: Project, *argv: str) -> Iterator[Shell]:
    """Run an interactive shell in a project; it does not outlive the block."""
    ours, theirs = pty.openpty()
    _set_size(theirs, 250)
    process = subprocess.Popen(
        ["setsid", "--ctty", *argv],
        cwd=project.root,
        env={**project.environ(), "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shell = Shell(ours)
    try:
        shell.send("printf '<%s>' rea''dy\r")
        shell.wait_for("<ready>")
        yield shell
    finally:
        os.close(ours)  # which hangs up
        process.kill()
        process.wait(PATIENCE)


def _set_size(descriptor: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
