"""How a run ended is read from its journal as its exit code told it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from marin_build.apply import events
from marin_build.apply.journal import (
    Header,
    event_line,
    header_line,
    parse_entries,
    parse_journal,
)
from marin_build.apply.run_summary import GrowingSummary, summary_of
from marin_build.operations.building.apply import exit_code
from marin_build.plan import outcomes

if TYPE_CHECKING:
    from marin_build.apply.events import Event
    from marin_build.apply.run_summary import Outcome, RunSummary

NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
HEAD = Header("r-0123abcd", "ada@laptop", 42, "0.1.0")


def summary(*told: Event) -> RunSummary:
    lines = [event_line(event, NOW, float(at)) for at, event in enumerate(told)]
    return summary_of(parse_journal(header_line(HEAD, NOW) + b"".join(lines)))


def finished(**counts: int | bool) -> events.ApplyFinished:
    zero = dict.fromkeys(
        ("succeeded", "failed", "reused", "blocked", "stopped", "interrupted", "not_started"), 0
    )
    return events.ApplyFinished(run="r-1", seconds=3.5, **(zero | counts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "outcome", "code"),
    [
        ({"succeeded": 3}, "built", 0),
        ({"succeeded": 3, "reused": 2}, "built", 0),
        ({"reused": 2}, "reused", 0),
        ({"succeeded": 3, "failed": 1}, "failed", 1),
        ({"blocked": 1}, "failed", 1),
        ({"stopped": 1}, "stopped", 5),
        ({"stopped": 1, "blocked": 1}, "stopped", 5),
        ({"stopped": 1, "failed": 1}, "failed", 1),
        ({"failed": 1, "interrupted": 1, "was_interrupted": True}, "interrupted", 130),
    ],
)
def test_the_outcome_is_that_of_the_exit_code(
    counts: dict[str, int | bool], outcome: Outcome, code: int
) -> None:
    end = finished(**counts)
    assert (summary(end).outcome, exit_code(end)) == (outcome, code)
    assert summary(end).seconds == 3.5


def test_a_run_without_an_end_tells_how_far_it_came() -> None:
    def began(name: str) -> events.StepStarted:
        return events.StepStarted(name, f"{name}_11111111", 1)

    def ended(name: str, outcome: outcomes.End) -> events.StepEnded:
        return events.StepEnded(name, f"{name}_11111111", outcome)

    found = summary(
        events.ApplyStarted("r-1", 4, 0, 2),
        began("a"),
        ended("a", outcomes.Succeeded(1, 0.5)),
        began("b"),
        ended("b", outcomes.Failed(1, 3, "no good\nat all", "b.log", 0.5)),
        began("b"),
        began("c"),
        events.StepWaiting("c", "c_11111111", "bob@tpu-7", 1.0, 60.0),
        began("d"),
    )
    assert (found.outcome, found.to_build, found.seconds) == (None, 4, 8.0)
    assert found.counts == {"built": 1, "begun": 2, "waiting": 1}
    assert [each.name for each in found.open] == ["b", "d"]
    (waiting,) = [each for each in found.targets if each.outcome == "waiting"]
    assert waiting.message == "bob@tpu-7"


def test_the_last_try_of_a_target_counts() -> None:
    bad = outcomes.Failed(2, 3, "no good", "b.log", 0.5)
    found = summary(
        events.StepStarted("b", "b_11111111", 1),
        events.StepEnded("b", "b_11111111", bad),
        finished(failed=1),
    )
    (target,) = found.targets
    assert (target.outcome, target.attempt, target.exit_code, target.log) == (
        "failed", 2, 3, "b.log",
    )  # fmt: skip


def test_numbers_that_are_none_are_not_known() -> None:
    """A journal is a file: its reader must survive what is in it."""
    line = b'{"event": "step_succeeded", "at": 1, "target": "a_1", "name": "a", "seconds": %s}\n'
    for word in (b"NaN", b"Infinity", b"-1", b"1" + b"0" * 400, b'"x"', b"true", b"null"):
        data = header_line(HEAD, NOW) + line % word
        (target,) = summary_of(parse_journal(data)).targets
        assert (target.outcome, target.seconds) == ("built", None), word


def test_a_summary_grows_as_the_journal_does() -> None:
    """A view that follows a run shows what `runs` would say at the same moment."""
    told: tuple[Event, ...] = (
        events.ApplyStarted("r-1", 2, 0, 2),
        events.StepStarted("a", "a_11111111", 1),
        events.JobMoved("a", "a_11111111", "slurm:7", "running", "", "node3"),
        events.StepEnded("a", "a_11111111", outcomes.Succeeded(1, 0.5)),
        events.ApplyExpanded(("more",), 5),
        finished(succeeded=1),
    )
    growing = GrowingSummary()
    for count, event in enumerate(told, 1):
        for entry in parse_entries(event_line(event, NOW, float(count - 1))):
            growing.add(entry)
        assert growing.so_far() == summary(*told[:count])
    assert growing.expanded == 5
    assert growing.targets["a_11111111"].job == "slurm:7"
