"""A trace is looked at to see what took so long: it must show that, and be readable at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply import events as e
from marin_build.apply.journal import Header, event_line, header_line, parse_journal
from marin_build.apply.trace import empty_trace, trace_of
from marin_build.plan.outcomes import Failed, Interrupted, Reused, Succeeded
from tests.trace_rules import check_trace

BEGAN = datetime(2026, 11, 21, tzinfo=UTC)
TOTALS = e.ApplyFinished("r-1", 1, 0, 0, 0, 0, 0, 0, 9.0)


def trace(*told: tuple[float, e.Event]) -> list[dict[str, Any]]:
    """Return the trace of what was told at these seconds, after it was checked."""
    head = header_line(Header("r-1", "ada@laptop", 42, "0.1.0"), BEGAN)
    lines = (event_line(event, BEGAN + timedelta(seconds=at), at) for at, event in told)
    made = trace_of(parse_journal(head + b"".join(lines)))
    check_trace(made)
    found: list[dict[str, Any]] = made["traceEvents"]
    return found


def start(name: str, slot: int = 1, after: str = "") -> e.StepStarted:
    return e.StepStarted(name, name, slot, after)


def done(name: str) -> e.StepEnded:
    return e.StepEnded(name, name, Succeeded(1, 1.0))


def of(events: list[dict[str, Any]], name: str) -> list[tuple[int, int, int]]:
    """Return row, start and duration of the complete events of a name, in seconds."""
    return [
        (event["tid"], event["ts"] // 10**6, event["dur"] // 10**6)
        for event in events
        if event["ph"] == "X" and event["name"] == name
    ]


def critical(events: list[dict[str, Any]]) -> set[str]:
    return {event["name"] for event in events if "critical" in event.get("cat", "").split(",")}


def test_steps_stand_in_the_rows_of_their_slots() -> None:
    found = trace(
        (0.0, e.ApplyStarted("r-1", 3, 0, 2)),
        (0.0, start("a")), (0.0, start("b", 2)), (4.0, done("a")), (4.0, start("c", 1, "a")),
        (5.0, done("b")), (9.0, done("c")), (9.0, TOTALS),
    )  # fmt: skip
    assert (of(found, "a"), of(found, "b"), of(found, "c")) == (
        [(1, 0, 4)], [(2, 0, 5)], [(1, 4, 5)],
    )  # fmt: skip
    assert of(found, "r-1") == [(0, 0, 9)]
    assert critical(found) == {"a", "c"}
    names = {
        event["tid"]: event["args"]["name"] for event in found if event["name"] == "thread_name"
    }
    assert names == {0: "run r-1", 1: "slot 1", 2: "slot 2"}
    assert found[0]["args"] == {"name": "ada@laptop"}


def test_every_try_is_shown() -> None:
    failed = e.StepEnded("a", "a", Failed(1, 137, "killed", "a.log", 1.0, retries_left=1))
    found = trace((0.0, start("a")), (1.0, failed), (1.0, start("a", 1, "a")), (3.0, done("a")))
    assert of(found, "a (failed)") == [(1, 0, 1)]
    assert of(found, "a") == [(1, 1, 2)]
    (bad,) = [event for event in found if event["name"] == "a (failed)"]
    assert bad["args"]["exit_code"] == 137
    assert bad["cname"] == "terrible"


def test_who_waits_for_another_run_has_a_row_of_his_own() -> None:
    wait = [e.StepWaiting(name, name, "bob@far", 0.0, 60.0) for name in "ab"]
    found = trace(
        (0.0, start("a")), (0.0, start("b", 2)), (0.1, wait[0]), (0.2, wait[1]), (2.0, wait[0]),
        (3.0, start("a", 1, "a")), (3.5, e.StepEnded("a", "a", Reused())), (7.0, TOTALS),
    )  # fmt: skip
    waits = [event for event in found if event.get("cat") == "waiting"]
    assert [(w["name"], w["ts"], w["dur"]) for w in waits] == [
        ("a", 100_000, 2_900_000), ("b", 200_000, 6_800_000),
    ]  # fmt: skip
    assert len({w["tid"] for w in waits} - {0, 1, 2}) == 2
    assert waits[0]["args"]["held_by"] == "bob@far"


def test_what_a_dead_run_had_not_ended_ends_with_its_journal() -> None:
    found = trace(
        (0.0, start("a")), (1.0, done("a")), (1.0, start("b", 1, "a")), (1.5, start("c", 2))
    )
    (unfinished,) = [event for event in found if event["name"] == "b"]
    assert (unfinished["dur"], unfinished["args"]["ended"]) == (500_000, "unfinished")
    assert of(found, "r-1 (unfinished)") == [(0, 0, 1)]
    assert critical(found) == {"a", "b"}


def test_an_interrupt_is_an_instant() -> None:
    found = trace(
        (0.0, start("a")), (1.0, e.Interrupting(1)), (2.0, e.StepEnded("a", "a", Interrupted(1)))
    )
    assert [event["name"] for event in found if event["ph"] == "i"] == ["interrupted"]


def test_nothing_happened() -> None:
    check_trace(empty_trace())
    assert critical(trace()) == set()


NAMES = st.sampled_from("abc")
EVENTS = st.one_of(
    st.builds(start, NAMES, st.integers(1, 2), NAMES | st.just("")),
    st.builds(done, NAMES),
    st.builds(lambda n: e.StepWaiting(n, n, "bob", 0.0, 60.0), NAMES),
    st.builds(lambda n: e.StepEnded(n, n, Failed(1, 1, "no", "", 1.0)), NAMES),
    st.just(e.FailingFast(1)),
    st.just(TOTALS),
)


@given(told=st.lists(st.tuples(st.integers(0, 3).map(float), EVENTS), max_size=12))
def test_a_journal_with_holes_makes_a_trace_that_can_be_read(
    told: list[tuple[float, e.Event]],
) -> None:
    """Else the one run that went wrong in every way has no trace."""
    now, later = 0.0, []
    for step, event in told:
        now += step
        later.append((now, event))
    trace(*later)
