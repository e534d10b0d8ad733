"""The last lines of a run: all that matters, and nothing that does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from marin_build.apply.events import ApplyFinished, CriticalPath, Timed
from marin_build.cli.next_commands import NextCommands
from marin_build.cli.views.apply_text import (
    QuietView,
    TextView,
    duration,
    totals_line,
    where_time_went,
)

SHORT = ApplyFinished("r-1", 2, 0, 30, 0, 0, 0, 0, 3.0)
SLOWEST = (Timed("train_1", 150.0), Timed("tok_1", 40.0), Timed("raw_1", 9.0))
CHAIN = CriticalPath(
    200.0, 3, (Timed("raw_1", 10.0), Timed("tok_1", 40.0), Timed("train_1", 150.0))
)
LONG = replace(SHORT, seconds=205.0, saved_seconds=7500.0, slowest=SLOWEST, critical_path=CHAIN)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "2 built, 30 reused in 3.0 s"),
        ({"saved_seconds": 2.0}, "2 built, 30 reused in 3.0 s"),
        ({"saved_seconds": 7500.0}, "2 built, 30 reused in 3.0 s; reuse saved 2 h 5 min"),
        ({"failed": 1, "blocked": 4, "not_started": 2, "reused": 0},
         "2 built, 0 reused, 1 failed, 4 blocked, 2 not started in 3.0 s"),
        ({"stopped": 1, "interrupted": 2}, "2 built, 30 reused, 1 stopped, 2 interrupted in 3.0 s"),
    ],
)  # fmt: skip
def test_one_line_says_what_became_of_the_targets(changes: dict[str, Any], expected: str) -> None:
    assert totals_line(replace(SHORT, **changes), duration) == expected


def test_a_long_run_says_where_its_time_went() -> None:
    assert where_time_went(LONG, duration) == [
        "  slowest:       train_1 2 min 30 s, tok_1 40 s, raw_1 9.0 s",
        "  critical path: 3 min 20 s in 3 steps: raw_1 10 s > tok_1 40 s > train_1 2 min 30 s",
    ]


def test_a_long_path_shows_its_slowest_steps() -> None:
    steps = tuple(Timed(f"s{i}", float(i % 7 * 100)) for i in range(20))
    path = replace(CHAIN, count=2000, steps=steps)
    (line,) = where_time_went(replace(LONG, slowest=(), critical_path=path), duration)
    assert line == (
        "  critical path: 3 min 20 s in 2000 steps: s5 8 min 20 s > s6 10 min 0 s > s12 8 min 20 s"
        " > s13 10 min 0 s > s19 8 min 20 s, and 1995 quicker ones"
    )


def test_a_run_that_is_short_or_of_one_step_needs_no_more_words() -> None:
    assert where_time_went(replace(LONG, seconds=9.0), duration) == []
    alone = CriticalPath(200.0, 1, (Timed("train_1", 200.0),))
    assert where_time_went(replace(LONG, slowest=SLOWEST[:1], critical_path=alone), duration) == []
    assert where_time_went(replace(SHORT, seconds=20.0), duration) == []


@pytest.mark.parametrize(("view", "lines"), [(TextView, 3), (QuietView, 1)])
def test_a_quiet_view_says_the_totals_only(
    view: type[TextView], lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    view(NextCommands("again", lambda _failure: "alone"))(LONG)
    assert len(capsys.readouterr().out.splitlines()) == lines
