"""What a log of CI, a pipe or `nohup` shows while a run goes on, and while a store says nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.servers.faults import Fault
from tests.servers.gcs import GcsServer

from .support import cases
from .terminal import on_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project

PIPELINE = """\
import os
import sys

from gate import wait_at_gate
from marin_build import StepSpec, command, step


@step
def train(output: str, steps: int, width: int) -> int:
    for number in range(steps):
        print(f"\\x1b[32mstep {number}\\x1b[0m", flush=True)
    print("50%\\r100%\\r")
    print("\\x1b[2Jcleared \\x07, key", os.environ.get("HF_TOKEN"), "x" * width)
    wait_at_gate("train")
    sys.stderr.write("no end")
    return steps


def pipeline(width: int = 70_000) -> list[StepSpec]:
    trained = train(steps=2, width=width)
    argv = ["sh", "-c", "echo loud; echo very >&2"]
    return [command(argv, name="shout", deps={"model": trained}, outputs=())]
"""


@pytest.fixture
def project(project: Project, gate: Gate) -> Project:
    """A project whose first step waits at the gate; what runs is told ten times a second."""
    del gate
    project.pipeline(PIPELINE)
    project.write("marin-build.toml", "progress_every = 0.1\n")
    project.environment["HF_TOKEN"] = "hf_secret_of_the_tests"
    return project


def test_a_log_says_what_starts_and_what_runs(project: Project, gate: Gate) -> None:
    """Else a job of hours in CI is silent, and is killed as one that hangs."""
    running = project.start("apply")
    lines = running.lines_until("  running   [0/2] train_")
    assert lines[1].startswith("  started   train_")
    gate.let_go()
    done = running.wait()
    assert done.code == 0
    assert "  started   shout_" in done.out
    assert "| loud" not in done.out


@cases("isolation", process=("process",), worker=("worker",), thread=("thread",))
def test_lines_of_steps_come_while_they_run(project: Project, gate: Gate, isolation: str) -> None:
    """Else a user has to find out which log to follow, or learns after hours that loss is NaN."""
    running = project.start("apply", "--stream-logs", "--isolation", isolation)
    before = running.lines_until(" | cleared")
    gate.let_go()
    done = running.wait()
    assert done.code == 0, done.err
    text = project.mask("".join(before) + done.out)
    for line in ("train_HASH | step 0\n", "train_HASH | step 1\n", "train_HASH | 100%\n"):
        assert text.count(line) == 1
    assert "train_HASH | cleared \\x07, key [HF_TOKEN] xxx" in text
    order = ["started   train_", "| step 0", "| step 1", "| cleared", "| no end", "built     [1/2]",
             "started   shout_", "| loud", "built     [2/2]"]  # fmt: skip
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "shout_HASH | very\n" in text
    assert "\x1b" not in text
    assert "hf_secret" not in text


def test_programs_get_the_lines_as_events(project: Project, gate: Gate) -> None:
    """Else they read a log of another form among the events."""
    gate.let_go(1)
    done = project.run("apply", "--stream-logs", "--json")
    assert done.code == 0
    lines = [
        e["line"] for e in done.events if e["event"] == "step_printed" and e["name"] == "train"
    ]
    assert lines[:3] == ["\x1b[32mstep 0\x1b[0m", "\x1b[32mstep 1\x1b[0m", "100%"]
    journal = next(project.root.glob(".marin-build/outputs/.marin-build/runs/*/events.jsonl"))
    kept = {json.loads(line)["event"] for line in journal.read_text().splitlines()}
    assert not kept & {"step_printed", "still_running"}


def test_a_terminal_has_them_above_what_it_draws(project: Project, gate: Gate) -> None:
    """Else the bar is drawn over them."""
    with on_terminal(project, "apply", "--stream-logs", "--set", "width=9") as terminal:
        terminal.wait_for("| step 1", "0/2")
        gate.let_go()
        assert terminal.wait() == 0
    shown = project.mask(terminal.text)
    assert "shout_HASH | loud\n" in shown
    assert "━" not in shown
    assert "started" not in shown
    assert b"\x1b[2Jcleared" not in terminal.written


@cases("option", quiet=("--quiet",), detach=("--detach",))
def test_what_contradicts_is_refused(project: Project, option: str) -> None:
    """Else lines that a user asked for do not come, and nothing says why."""
    done = project.run("apply", "--stream-logs", option)
    assert (done.code, done.out) == (4, "")
    assert f"`--stream-logs` and `{option}` contradict each other" in done.err


@cases("value", negative=("-1",), tiny=("0.001",), endless=("inf",))
def test_a_pause_that_makes_no_sense_is_refused(project: Project, value: str) -> None:
    """Else a typing error fills a disk with lines, or ends in a traceback."""
    project.write("marin-build.toml", f"progress_every = {value}\n")
    done = project.run("apply")
    assert done.code == 4
    assert "the setting `progress_every` must be 0, or at least 0.1 seconds" in done.err


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer("lab") as made:
        yield made


def test_logs_of_outputs_in_a_bucket_are_shown(
    project: Project, gate: Gate, server: GcsServer
) -> None:
    """Else the lines of those who need them most are not there."""
    project.build_in_bucket(server.url, "gs://lab/out")
    running = project.start_fork("apply", "--stream-logs")
    before = running.lines_until(" | cleared")
    gate.let_go()
    done = running.wait()
    assert done.code == 0, done.err
    text = project.mask("".join(before) + done.out)
    for line in ("train_HASH | step 0", "train_HASH | no end", "shout_HASH | loud"):
        assert text.count(f"{line}\n") == 1


# The first word of what waits differs: a plan lists the marks of tainted targets beside the states.
@cases("command", plan=("plan --json",), apply=("apply",), status=("status",))
def test_a_store_that_says_nothing_is_named(
    project: Project, gate: Gate, server: GcsServer, command: str
) -> None:
    """Else a command looks dead for a minute, and nobody knows what it waits for."""
    project.build_in_bucket(server.url, "gs://lab/out")
    server.faults.add(Fault("hold", every=1))
    running = project.start_fork(*command.split())
    (line,) = running.lines_until("waiting for gs://lab (", err=True)
    assert "the state of " in line or "tainted targets" in line
    server.let_go()
    gate.let_go(1)
    done = running.wait()
    assert done.code == 0, done.err
    if "--json" in command:
        json.loads(done.out)
    assert all(said.startswith("waiting for gs://lab (") for said in done.err.splitlines())


def test_a_terminal_forgets_what_was_waited_for(project: Project, server: GcsServer) -> None:
    """Else a plan begins with lines about a wait that is over."""
    project.build_in_bucket(server.url, "gs://lab/out")
    server.faults.add(Fault("hold", every=1))
    with on_terminal(project, "plan") as terminal:
        terminal.wait_for("waiting for gs://lab (")
        server.let_go()
        assert terminal.wait() == 0
    assert "waiting" not in terminal.text
    assert "2 to build" in terminal.text
