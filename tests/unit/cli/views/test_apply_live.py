"""What is written while the live view draws, by whomever, reaches the terminal whole."""

from __future__ import annotations

import os
import pty
import select
import sys
from codecs import getincrementaldecoder
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING

import pytest

from marin_build.apply import events as report
from marin_build.cli.next_commands import NextCommands
from marin_build.cli.views.apply_live import LiveView
from marin_build.cli.views.live_progress import Foreseen
from marin_build.plan.outcomes import Succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 240.0
STARTED = report.ApplyStarted("r-1", 2, 0, 1)
FINISHED = report.ApplyFinished("r-1", 1, 0, 0, 0, 0, 0, 1, 2.0)


class _Terminal:
    """The other side of standard output and error."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.stream = open(self.theirs, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        self.shown = ""
        # What is read may end in the middle of a character.
        self._decoder = getincrementaldecoder("utf-8")()

    def wait_for(self, words: str) -> None:
        while words not in self.shown:
            ready, _, _ = select.select([self.ours], [], [], PATIENCE)
            assert ready, self.shown
            self.shown += self._decoder.decode(os.read(self.ours, 65536))

    def close(self) -> None:
        with suppress(OSError):
            self.stream.close()  # click keeps it: what it holds back would go to a later test
        for descriptor in (self.ours, self.theirs):
            with suppress(OSError):
                os.close(descriptor)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Terminal]:
    made = _Terminal()
    monkeypatch.setenv("TERM", "xterm")
    yield made
    made.close()


@contextmanager
def _view(terminal: _Terminal) -> Iterator[LiveView]:
    with (
        redirect_stdout(terminal.stream),
        redirect_stderr(terminal.stream),
        LiveView(NextCommands("again", lambda _: "alone"), Foreseen(), lambda *_: "") as view,
    ):
        yield view


def test_what_others_write_stands_above_what_is_drawn(terminal: _Terminal) -> None:
    """Else a warning is drawn over before anybody reads it."""
    with _view(terminal) as view:
        print("before")
        terminal.wait_for("before")
        view(STARTED)
        terminal.wait_for("0/2")
        sys.stderr.write("half a ")
        view(report.StepEnded("a", "a_1", Succeeded(1, 1.0)))
        terminal.wait_for("1/2")
        sys.stderr.write("line\n")
        terminal.wait_for("half a line\r\n")
        sys.stdout.write("never ended")
        view(FINISHED)
        terminal.wait_for("1 built, 0 reused, 1 not started in 2.0 s")
        assert "never ended" in terminal.shown
        assert terminal.shown.index("run r-1: 2 to build") < terminal.shown.index("0/2")
        print("after")
        terminal.wait_for("after")


def _crash(terminal: _Terminal) -> None:
    with _view(terminal) as view:
        view(STARTED)
        terminal.wait_for("0/2")
        view(report.StepEnded("a", "a_1", Succeeded(1, 1.0)))
        sys.stderr.write("a last word")
        raise RuntimeError("a bug")


def test_a_crash_takes_nothing_with_it(terminal: _Terminal) -> None:
    """Else of a crash, and of what failed before it, nothing is left on the terminal."""
    before = (sys.stdout, sys.stderr)
    with pytest.raises(RuntimeError, match="a bug"):
        _crash(terminal)
    assert (sys.stdout, sys.stderr) == before
    terminal.wait_for("[1/2] a_1")
    assert "a last word" in terminal.shown


def test_a_quick_run_draws_nothing(terminal: _Terminal) -> None:
    """Else a run of a blink flickers; it also pays for nothing that it does not use."""
    with _view(terminal) as view:
        view(STARTED)
        view(FINISHED)
    terminal.wait_for("in 2.0 s")
    assert "━" not in terminal.shown
    assert terminal.shown.index("run r-1") < terminal.shown.index("1 built")


def test_a_terminal_that_is_gone_does_not_end_the_run(terminal: _Terminal) -> None:
    """Else a closed window ends a run of hours that ignores the hangup, as under nohup."""
    with _view(terminal) as view:
        view(STARTED)
        terminal.wait_for("0/2")
        os.close(terminal.ours)
        for i in range(2):
            view(report.StepEnded("a", f"a_{i}", Succeeded(1, 1.0)))
        with pytest.raises(OSError, match="5"):  # nobody can be told of the end
            view(FINISHED)
