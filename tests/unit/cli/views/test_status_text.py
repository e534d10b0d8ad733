"""The lines of `status`: clocks of two machines are not compared, and nobody reads 1,000 lines."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.cli.views.status_text import Row, folded, rows_of, show_status, status_json
from marin_build.operations.runs.status import ReadStatus
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.snapshot import LastAttempt
from marin_build.plan.target_state import State, TargetState, WaitingJob
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.living_work import Process
from marin_build.protocol.taints import Taint

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

HERE = Host("me@here", "boot-1")
OURS = Lease("me@here", 90.0, run="r-1", attempt=2, nonce="n", boot="boot-1", since=60.0)
THEIRS = Lease("ada@far", 90.0, run="r-2", attempt=1, nonce="n", boot="boot-2", since=60.0)
MARINS = Lease("host-3-17", 90.0)

KILLED = LastAttempt(3, 137, "a\x1b[2J\nb", "ada@far", "2026-01-02T03:04:05.678+00:00")
WHY_KILLED = (
    "attempt 3, exit code 137 (SIGKILL: out of memory, or killed by another process), "
    "2026-01-02 03:04:05 UTC, ada@far: a\\x1b[2J"
)


def _text(state: TargetState, make: Callable[..., Targets], now: float = 100.0) -> str:
    (row,) = rows_of(make(StepSpec(name="a")), {0: state}, HERE, now)
    return row.text


def _read(targets: Targets, state: TargetState) -> ReadStatus:
    return ReadStatus(targets, {0: state}, HERE, 0.0)


def test_a_holder_of_this_machine_is_timed(make: Callable[..., Targets]) -> None:
    assert _text(TargetState(State.RUNNING, OURS), make) == (
        "me@here, run r-1, attempt 2; for 40 s, since 1970-01-01 00:01:00 UTC, "
        "renewed 1970-01-01 00:01:30 UTC, lease 60 s"
    )


def test_the_clock_of_another_machine_is_shown_and_not_compared(
    make: Callable[..., Targets],
) -> None:
    """Else a holder whose clock is wrong is called dead, or a thousand years old."""
    assert _text(TargetState(State.RUNNING, THEIRS), make) == (
        "ada@far, run r-2, attempt 1; since 1970-01-01 00:01:00 UTC, "
        "renewed 1970-01-01 00:01:30 UTC by its own clock, lease 60 s"
    )


def test_what_a_lock_of_marin_says_is_enough(make: Callable[..., Targets]) -> None:
    assert _text(TargetState(State.RUNNING, MARINS), make) == (
        "host-3-17; renewed 1970-01-01 00:01:30 UTC by its own clock, lease 90 s"
    )


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (
            TargetState(State.GONE, OURS),
            "its holder is gone: me@here, run r-1, attempt 2; the next apply builds it",
        ),
        (
            TargetState(State.SEALED, THEIRS),
            "by ada@far, run r-2, attempt 1; the next apply publishes it",
        ),
        (TargetState(State.FAILED, last=KILLED), WHY_KILLED),
        (TargetState(State.FAILED, last=LastAttempt(1, None, None, "w", None)), "attempt 1, w"),
        (TargetState(State.FAILED), ""),
        (
            TargetState(State.UNREADABLE, damage=Unreadable("lease", "/o/.lock")),
            ("its lease is not readable: /o/.lock "
            "(make sure that no run builds it, then delete the file)"),
        ),
        (TargetState(State.BUILT), ""),
        (
            TargetState(State.TAINTED, taint=Taint("bad\x1b", "", "")),
            "tainted: bad\\x1b",
        ),
    ],
)  # fmt: skip
def test_the_facts_of_each_state(
    make: Callable[..., Targets], state: TargetState, text: str
) -> None:
    assert _text(state, make) == text


def test_what_its_holder_left_running_is_said(make: Callable[..., Targets]) -> None:
    state = TargetState(State.RUNNING, OURS, work=(Process(7, "sleep 9"),))
    assert _text(state, make).endswith(
        "; its holder is gone, but what it started still works: pid 7 (`sleep 9`); "
        "`marin-build unlock TARGET --kill` ends it"
    )


def test_what_waits_in_a_queue_is_said_in_the_queue_s_words(
    make: Callable[..., Targets], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a person cannot tell a job that waits from one that nobody submitted."""
    waits = WaitingJob("slurm:7", "PENDING (Priority)")
    assert _text(TargetState(State.NOT_BUILT).with_job(waits), make) == (
        "slurm:7, PENDING (Priority)"
    )
    held = replace(waits, hint="it is held: `scontrol release 7` lets it start")
    assert _text(TargetState(State.NOT_BUILT).with_job(held), make) == (
        "slurm:7, PENDING (Priority); it is held: `scontrol release 7` lets it start"
    )
    starts = WaitingJob("slurm:8", "RUNNING", "n1")
    again = TargetState(State.FAILED, last=LastAttempt(1, None, None, "w", None)).with_job(starts)
    assert _text(again, make) == "slurm:8, RUNNING on n1; before, attempt 1, w"
    targets = make(*(StepSpec(name=f"s{i}") for i in range(100)))
    many = {
        i: TargetState(State.NOT_BUILT).with_job(replace(waits, job=f"slurm:{i}"))
        for i in range(100)
    }
    show_status(ReadStatus(targets, many, HERE, 0.0, {"slurm": "no\x1b answer"}), verbose=False)
    told = capsys.readouterr()
    assert told.out == (
        "queued  * (100 targets)  slurm, PENDING (Priority)\n100 targets: 100 queued\n"
    )
    assert told.err == "note: what waits in the queue of slurm is not known: no\\x1b answer\n"
    document = status_json(_read(targets, again))
    job = {"job": "slurm:8", "words": "RUNNING", "place": "n1", "hint": None}
    assert document["targets"][0]["job"] == job


def test_what_needs_an_eye_comes_first(make: Callable[..., Targets]) -> None:
    targets = make(*(StepSpec(name=f"s{i}") for i in range(3)))
    states = {
        0: TargetState(State.BUILT),
        1: TargetState(State.FAILED),
        2: TargetState(State.RUNNING, OURS),
    }
    assert [row.state.value for row in rows_of(targets, states, HERE, 0.0)] == [
        "running", "failed", "built",
    ]  # fmt: skip


def _row(state: State, name: str, text: str = "", topic: str = "") -> Row:
    return Row(state, name, f"{name}_1", 1, text, topic)


def test_few_lines_are_left_alone() -> None:
    rows = [_row(State.BUILT, f"a/{i}") for i in range(50)]
    assert folded(rows) == rows


def test_what_is_built_is_folded_before_what_runs() -> None:
    """Else the one line that matters is hidden among those that do not."""
    rows = [
        *(_row(State.RUNNING, f"run/{i}", f"attempt {i}", "ada") for i in range(10)),
        *(_row(State.BUILT, f"tokenize/{i}") for i in range(400)),
    ]
    found = folded(rows)
    assert found[:10] == rows[:10]
    (rest,) = found[10:]
    assert (rest.target, rest.targets) == ("tokenize/*", 400)


def test_what_runs_is_folded_by_who_holds_it() -> None:
    rows = [_row(State.RUNNING, f"run/{i}", f"attempt {i}", f"worker {i % 2}") for i in range(100)]
    found = [(row.target, row.targets, row.text) for row in folded(rows)]
    assert found == [("run/*", 50, "worker 0"), ("run/*", 50, "worker 1")]


def test_steps_of_one_name_are_folded_to_it() -> None:
    rows = [*(_row(State.BUILT, "train") for _ in range(60)), _row(State.BUILT, "eval")]
    assert [(row.target, row.targets) for row in folded(rows)] == [("train_*", 60), ("eval_1", 1)]


def test_the_whole_of_a_status(
    make: Callable[..., Targets], capsys: pytest.CaptureFixture[str]
) -> None:
    targets = make(*(StepSpec(name=name) for name in ("a", "bb")))
    states = {0: TargetState(State.NOT_BUILT), 1: TargetState(State.BUILT)}
    show_status(ReadStatus(targets, states, HERE, 0.0), verbose=False)
    a, b = (target.id for target in targets.all)
    assert capsys.readouterr().out == (
        f"not built  {a}\nbuilt      {b}\n2 targets: 1 not built, 1 built\n"
    )


def test_programs_are_told_everything(make: Callable[..., Targets]) -> None:
    targets = make(StepSpec(name="a"))
    document = status_json(_read(targets, TargetState(State.RUNNING, THEIRS)))
    assert document["summary"]["running"] == 1
    (told,) = document["targets"]
    assert told["held_by"] == {
        "worker": "ada@far", "run": "r-2", "attempt": 1, "since": "1970-01-01T00:01:00+00:00",
        "renewed": "1970-01-01T00:01:30+00:00", "time_to_live": 60.0,
    }  # fmt: skip
    failed = TargetState(State.FAILED, last=LastAttempt(1, 3, "no", "w", None))
    (told,) = status_json(_read(targets, failed))["targets"]
    assert (told["state"], told["held_by"]) == ("failed", None)
    assert told["failure"]["exit_code"] == 3
