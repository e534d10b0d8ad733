"""What a log of CI shows of a run, given events and a clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.apply.events import (
    ApplyStarted,
    JobMoved,
    StepEnded,
    StepPrinted,
    StepStarted,
    StepWaiting,
    StillRunning,
)
from marin_build.cli.next_commands import NextCommands
from marin_build.cli.views.apply_plain import PlainView
from marin_build.cli.views.apply_text import QuietView
from marin_build.plan.outcomes import Failed, Succeeded

if TYPE_CHECKING:
    import pytest

    from marin_build.apply.events import Event


COMMANDS = NextCommands("again", lambda failure: failure.target)


class Run:
    """A run whose events a view shows, at instants that the test says."""

    def __init__(self) -> None:
        self.now = 0.0
        self.view = PlainView(COMMANDS, clock=lambda: self.now)

    def at(self, now: float, *events: Event) -> None:
        self.now = now
        for event in events:
            self.view(event)


def test_what_starts_and_what_runs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Else the log of a job of hours shows nothing but its first line."""
    run = Run()
    run.at(0, ApplyStarted("r-1", 3, 1, 2), StepStarted("train", "train_1", 1))
    run.at(60, StillRunning(1, 60.0), StepStarted("eval", "eval_1", 2))
    run.at(120.4, StillRunning(2, 120.0), StepEnded("eval", "eval_1", Succeeded(1, 60.4)))
    run.at(
        7300,
        StepStarted("far", "far_1", 2),
        JobMoved("far", "far_1", "slurm:7", "queued", "Priority"),
    )
    run.at(
        7320,
        StillRunning(2, 7320.0),
        JobMoved("far", "far_1", "slurm:7", "running", "", "node\x1b7"),
    )
    run.at(7380, StillRunning(2, 7380.0), StepWaiting("train", "train_1", "bob", 0.0, 60.0))
    run.at(7390, StepEnded("far", "far_1", Failed(1, 1, "no")), StillRunning(0, 7390.0))
    assert capsys.readouterr().out.splitlines() == [
        "run r-1: 3 to build, 1 reused, 2 at once",
        "  started   train_1",
        "  running   [0/3] train_1 1 min 0 s",
        "  started   eval_1",
        "  running   [0/3] train_1 2 min 0 s, eval_1 1 min 0 s",
        "  built     [1/3] eval_1  1 min 0 s",
        "  started   far_1",
        "  queued    far_1  slurm:7  Priority",
        "  running   [1/3] train_1 2 h 2 min, far_1 20 s (queued: Priority, as slurm:7)",
        r"  running   far_1  slurm:7  on node\x1b7",
        r"  running   [1/3] train_1 2 h 3 min, far_1 1 min 0 s (slurm:7 on node\x1b7)",
        "  waiting   train_1  is held by bob; last seen change 0 s ago, lease 60 s",
        "  failed    far_1  no",
    ]


def test_of_many_that_run_the_longest_running_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Else a thousand jobs make a line of 30,000 characters, each minute."""
    run = Run()
    run.at(0, ApplyStarted("r-1", 1000, 0, 1000))
    run.at(0, *(StepStarted("s", f"s_{i}", i) for i in range(1000)))
    run.at(5, StepEnded("s", "s_0", Failed(1, 1, "no")), StepWaiting("s", "s_1", "x", 0.0, 60.0))
    run.at(60, StillRunning(998, 60.0))
    assert capsys.readouterr().out.splitlines()[-1] == (
        "  running   [0/1000] s_2 1 min 0 s, s_3 1 min 0 s, s_4 1 min 0 s and 995 more; "
        "1 failed; 1 waiting for other runs"
    )


def test_lines_of_steps_name_their_target_and_move_no_cursor(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Else nobody knows which of two steps printed a line, or a step forges the log of its run."""
    run = Run()
    for line in (
        "loss 0.25\tlr 1",
        "",
        "\x1b[31mred\x1b[0m",
        "\x1b[2J\x1b]0;mine\x07ring\x07",
        "\u202egpj",
    ):
        run.at(1, StepPrinted("train", "train_1", line))
    assert capsys.readouterr().out.splitlines() == [
        "train_1 | loss 0.25\tlr 1",
        "train_1 | ",
        "train_1 | red",
        r"train_1 | ring\x07",
        r"train_1 | \u202egpj",
    ]


def test_a_quiet_view_says_nothing_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Else `-q` is not quiet."""
    view = QuietView(COMMANDS)
    for event in (
        StepStarted("train", "train_1", 1),
        StillRunning(1, 60.0),
        StepPrinted("train", "train_1", "x"),
    ):
        view(event)
    assert capsys.readouterr().out == ""
