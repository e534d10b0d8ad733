"""A journal is read after the worst: what was written must be understood, and be all there is."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from marin_build.apply import events
from marin_build.apply.event_json import DOCUMENTED, event_fields, event_name
from marin_build.apply.events import Event
from marin_build.apply.journal import (
    Header,
    UnreadableJournalError,
    event_line,
    header_line,
    parse_journal,
)
from marin_build.apply.trace import trace_of
from marin_build.plan import outcomes

NOW = datetime(2026, 11, 21, 10, 20, 30, 123456, tzinfo=UTC)
HEAD = Header("r-0123abcd", "ada@laptop", 42, "0.1.0")
STARTED = events.StepStarted("s", "s_0badcafe", 2, "t_0badcafe", 0.5)
BAD = outcomes.Failed(1, 1, "no\ngood \u2028 at all", "a.log", 1.0)
FAILED = events.StepEnded("s", "s_0badcafe", BAD)
FINISHED = events.ApplyFinished(
    "r-1", 1, 2, 3, 4, 5, 6, 7, 8.0,
    slowest=(events.Timed("s", 1.5),),
    critical_path=events.CriticalPath(3.0, 1, (events.Timed("s", 3.0),)),
)  # fmt: skip
TOLD: list[tuple[Event, float]] = [(STARTED, 0.25), (FAILED, 1.0), (FINISHED, 2.0)]
WHOLE = header_line(HEAD, NOW) + b"".join(event_line(event, NOW, at) for event, at in TOLD)


def test_what_was_written_is_read() -> None:
    journal = parse_journal(WHOLE)
    assert journal.header == HEAD
    assert journal.time == "2026-11-21T10:20:30.123+00:00"
    assert [(entry.event, entry.at) for entry in journal.entries] == [
        ("step_started", 0.25), ("step_failed", 1.0), ("apply_finished", 2.0),
    ]  # fmt: skip
    time = {"time": journal.time}
    assert [entry.fields for entry in journal.entries] == [
        time | json.loads(json.dumps(event_fields(event))) for event, _ in TOLD
    ]


def test_each_line_is_one_document_whatever_a_message_says() -> None:
    assert len(WHOLE.splitlines()) == WHOLE.count(b"\n") == 4
    assert [json.loads(line)["event"] for line in WHOLE.split(b"\n")[:-1]] == [
        "journal", "step_started", "step_failed", "apply_finished",
    ]  # fmt: skip


@pytest.mark.parametrize("size", range(WHOLE.index(b"\n"), len(WHOLE)))
def test_wherever_it_was_cut_the_whole_lines_are_read(size: int) -> None:
    """Else the journal of the run that died, the one that is looked at, is not readable."""
    cut = WHOLE[:size]
    whole = cut.count(b"\n") - 1 + (WHOLE[size : size + 1] == b"\n")
    assert len(parse_journal(cut).entries) == max(0, whole)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "does not name the schema"),
        (WHOLE[:30], "does not name the schema"),
        (b"[1]\n", "does not name the schema"),
        (WHOLE.replace(b'"schema_version": 1', b'"schema_version": 2'), "schema_version is 2"),
        (WHOLE.replace(b'"pid"', b'"dip"'), "lacks 'pid'"),
    ],
)
def test_what_is_no_journal_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UnreadableJournalError, match=why):
        parse_journal(data)


def test_lines_that_say_nothing_are_passed_over() -> None:
    odd = WHOLE + b'\n[]\n{"event": "x", "at": "soon"}\n\xff\n{"at": 3}\n'
    assert [entry.event for entry in parse_journal(odd).entries[3:]] == [""]


KINDS: list[type[Any]] = [*get_args(Event), *get_args(outcomes.End)]
KINDS.remove(events.StepEnded)
UNTOLD = {"published", "attempt of Interrupted"}
"""Fields of outcomes that no event has: only the command that builds one step says them."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_tells_all_its_fields(kind: type[Any]) -> None:
    """Else a field that is added is seen on the screen only."""
    made = kind(*(f"v{i}" for i in range(len(fields(kind)))))
    event = made if kind in get_args(Event) else events.StepEnded("n", "t", made)
    its = {f.name for f in fields(kind) if not {f.name, f"{f.name} of {kind.__name__}"} & UNTOLD}
    assert set(event_fields(event)) - {"name", "target"} == its - {"name", "target"}
    assert tuple(event_fields(event)) == DOCUMENTED[event_name(event)]


def test_what_ended_is_told_as_it_always_was() -> None:
    """Else programs that read journals of the last month no longer read those of today."""
    assert event_fields(FAILED) == {
        "name": "s", "target": "s_0badcafe", "attempt": 1, "exit_code": 1, "message": BAD.message,
        "log": "a.log", "seconds": 1.0, "retries_left": 0, "hint": "", "cause": "app",
        "retry_in": None, "peak_memory_bytes": None,
        "is_finished": False,
    }  # fmt: skip
    ends: list[outcomes.End] = [
        outcomes.Succeeded(1, 2.0), outcomes.Reused(), outcomes.Stopped("no"),
        outcomes.Interrupted(1), outcomes.Blocked("a"),
    ]  # fmt: skip
    told = [events.StepEnded("s", "s_0badcafe", end) for end in ends]
    assert [(event_name(event), [*event_fields(event)][2:]) for event in told] == [
        ("step_succeeded", ["attempt", "seconds"]), ("step_reused", []),
        ("step_stopped", ["message", "hint"]), ("step_interrupted", []),
        ("step_blocked", ["upstream", "reason"]),
    ]  # fmt: skip


_HOSTILE: list[Any] = [
    None,
    1,
    -1.0,
    True,
    "x",
    "\ud800",
    [],
    {},
    [[]],
    {"a": 1},
    float("inf"),
    10**400,
    1e308,
]
_HEADER = {
    "event": "journal", "schema": "marin_build/events", "schema_version": 1, "time": "t", "at": 0.0,
    "run": "r-1", "worker": "ada@h", "pid": 1, "marin_build": "1",
}  # fmt: skip
_STARTED = {
    "event": "step_started", "at": 1.0, "target": "x", "slot": 1, "queued": 0.1, "after": "",
}  # fmt: skip


@pytest.mark.parametrize("key", [*_HEADER, "queued", "slot", "target", "after"])
@pytest.mark.parametrize("value", _HOSTILE, ids=lambda value: repr(value)[:12])
def test_a_journal_with_any_value_anywhere_is_read_or_unreadable(key: str, value: object) -> None:
    """Else `trace` of a run that another program wrote ends with a traceback."""
    first = {**_HEADER, key: value} if key in _HEADER else _HEADER
    second = {**_STARTED, key: value} if key in _STARTED else _STARTED
    ended = {**second, "event": "step_succeeded", "seconds": value}
    lines = [json.dumps(line) for line in (first, second, ended, {"event": value, "at": value})]
    try:
        journal = parse_journal("\n".join(lines).encode())
    except UnreadableJournalError:
        return
    json.dumps(trace_of(journal))


def test_the_totals_can_be_read_without_what_came_between() -> None:
    begun = event_line(events.ApplyStarted("r-1", 5, 0, 2), NOW, 0.1)
    head, rest = WHOLE.split(b"\n", 1)
    whole = head + b"\n" + begun + rest
    short = parse_journal(whole, only_totals=True)
    assert [entry.event for entry in short.entries] == ["apply_started", "apply_finished"]
    unfinished = whole.rpartition(b'{"event": "apply_finished"')[0]
    assert parse_journal(unfinished, only_totals=True) == parse_journal(unfinished)
    assert parse_journal(head, only_totals=True).entries == ()


def test_a_journal_of_an_older_version_names_no_process_that_could_be_another() -> None:
    older = WHOLE.replace(b', "boot": "", "start": 0', b"")
    assert older != WHOLE
    assert parse_journal(older).header == HEAD
