"""What people watch while `apply` builds: snapshots of a terminal at moments that events define."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from .support import GOLDEN, PATIENCE, cases
from .terminal import on_terminal

if TYPE_CHECKING:
    from .support import Project

HOSTILE = "\x1b[2J\x1b[H\x1b]0;mine\x07\x1b[31mred\x1b[0m\ttab \x07bell \x9b2J \u202egpj.exe"
"""It clears the screen, names the window, rings, and turns the reading direction."""

# In revision 0 nothing waits or fails; later, a step waits at a pipe that has its name.
PIPELINE = """\
from pathlib import Path

from marin_build import StepSpec, step

HERE = Path(__file__).parent


@step(name="{name}")
def work(output: Path, name: str, says: str, rev: int, after: list = ()) -> None:
    print("the first line")
    print(says, flush=True)
    if rev:
        open(HERE / f"go-{name}").read()
    if rev and name == "bad":
        raise ValueError("no such luck")
    (output / "done").touch()


@step
def corpus(output: Path) -> None:
    (output / "done").touch()


@step
def report(output: Path, bad: Path) -> None:
    pass


def pipeline(rev: int = 0, says: str = "half way", new: bool = False) -> list[StepSpec]:
    steps = [corpus(), work(name="train-a-large-model", says="loss 0.25", rev=rev)]
    if new:
        bad = work(name="bad", says=says, rev=rev)
        steps += [work(name="evaluate", says="50%\\r75%\\r", rev=rev), bad, report(bad=bad)]
    return steps
"""
NAMES = ("train-a-large-model", "bad", "evaluate")


@pytest.fixture
def built(project: Project) -> Project:
    """A project whose first build, of some steps, took ten hours a step as its records say."""
    project.pipeline(PIPELINE)
    assert project.run("apply", "-q").code == 0
    path = project.output_of("train-a-large-model") / ".executor_info"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "seconds": 36_000.0}))
    for name in NAMES:
        os.mkfifo(project.root / f"go-{name}")
    return project


def _let_go(project: Project, *names: str) -> None:
    """Let steps go on; each is waited for until it waits."""
    for name in names:
        (project.root / f"go-{name}").open("w").close()


def _check(name: str, text: str) -> None:
    path = GOLDEN / "live_view" / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), f"{path}: if right, UPDATE_GOLDEN=1"


ALL = ("apply", "-j", "4", "-k", "--set", "rev=1", "--set", "new=true")


def test_what_runs_is_seen_and_a_failure_stays(built: Project) -> None:
    """Else nobody knows what a run of hours does, how long it will, or what went wrong in it."""
    with on_terminal(built, *ALL) as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        _check("running", terminal.snapshot)
        _let_go(built, "bad")
        terminal.wait_for("1 failed", "1 blocked")
        _check("failed", terminal.snapshot)
        _let_go(built, "evaluate")
        terminal.wait_for("built", "1/4")
        _check("built", terminal.snapshot)
        _let_go(built, "train-a-large-model")
        assert terminal.wait() == 1
    shown = terminal.text
    assert "2 built, 1 reused, 1 failed, 1 blocked" in shown
    assert shown.count("ETA") == shown.count("━") == 0
    assert shown.count("no such luck") == 2  # when it failed, and in its log there
    assert not terminal.screen.cursor.hidden


def test_a_narrow_terminal_shows_names_and_times(built: Project) -> None:
    """Else half of a small window is lines that break, and a resized one is never right again."""
    with on_terminal(built, *ALL) as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        terminal.resize(40)
        terminal.wait_for("…", without="loss 0.25")
        # What the times take is taken from the bar and from the longest name.
        _check("narrow", re.sub("[━╸╺]+", "BAR", re.sub("_[0-9a-f]*…", "_…", terminal.snapshot)))
    assert all(len(row) < 40 for row in terminal.text.splitlines()[1:])


def test_nothing_a_step_prints_moves_the_cursor(built: Project) -> None:
    """Else a step can forge what the terminal shows, or break it."""
    with on_terminal(built, *ALL, "--set", f"says={HOSTILE}") as terminal:
        terminal.wait_for("loss 0.25", "bell", "75%")
        _check("hostile", terminal.snapshot)
        assert b"\x1b[2J" not in terminal.written
        assert terminal.screen.title == ""


def test_without_colours_the_bar_is_still_one(built: Project) -> None:
    """Else who asked for no colours gets them, or sees a bar that never moves."""
    built.environment["NO_COLOR"] = "1"
    with on_terminal(built, *ALL) as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        _check("no_color", terminal.snapshot)
        _let_go(built, *NAMES)
        assert terminal.wait() == 1
    assert not re.search(rb"\x1b\[[0-9;]*[34][0-9]", terminal.written)


def test_a_terminal_that_can_only_print_gets_lines(built: Project) -> None:
    """Else the log of an old terminal, or of an editor's, is full of codes."""
    with on_terminal(built, *ALL, term="dumb") as terminal:
        _let_go(built, *NAMES)
        assert terminal.wait() == 1
    assert b"\x1b" not in terminal.written
    assert "2 built, 1 reused, 1 failed, 1 blocked" in terminal.text


@cases("number", ctrl_c=(signal.SIGINT,), terminate=(signal.SIGTERM,))
def test_an_interrupted_run_leaves_a_terminal_that_works(built: Project, number: int) -> None:
    """Else after Ctrl-C the prompt stands in the middle of a bar, or the cursor is gone."""
    with on_terminal(built, *ALL) as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        terminal.send(number)
        assert terminal.wait() == 130
    shown = terminal.text
    assert "interrupted: ending 3 running steps; a second Ctrl-C kills them" in shown
    assert shown.count("interrupted") == 5
    assert "to go on: marin-build apply" in shown
    assert "━" not in shown
    assert not terminal.screen.cursor.hidden
    assert terminal.screen.cursor.x == 0


def test_a_run_outlives_its_terminal(built: Project) -> None:
    """Else a run of days ends, as a bug of ours, with the window that it was started in."""
    with on_terminal(built, *ALL) as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, terminal.ours)  # closes our side
        os.close(nothing)
        _let_go(built, *NAMES)
        assert terminal.process.wait(PATIENCE) == 1
    assert built.status_of("evaluate") == "SUCCESS"


def test_steps_in_threads_print_to_their_logs(built: Project) -> None:
    """Else what they print is drawn over, and their logs are empty."""
    with on_terminal(built, *ALL, "--isolation", "thread") as terminal:
        terminal.wait_for("loss 0.25", "half way", "75%")
        assert "the first line" not in terminal.text
        _let_go(built, *NAMES)
        assert terminal.wait() == 1
    assert built.log_of("evaluate").startswith("the first line\n")
