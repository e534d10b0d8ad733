"""Which attempt `logs` shows if no target is named, from the journals of runs alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from marin_build.apply.events import Event, StepEnded, StepStarted
from marin_build.apply.journal import Header, event_line, header_line
from marin_build.errors import NotFoundError
from marin_build.operations.loading.place import Place
from marin_build.operations.runs.newest_attempt import newest_attempt
from marin_build.plan.outcomes import Failed, Succeeded
from marin_build.store.memory import MemoryStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)
A, B = "a_00000001", "x/b_00000002"
VERSION = "c@v1"


def _ended(target: str, *, well: bool) -> StepEnded:
    outcome = Succeeded(1, 1.0) if well else Failed(1, 1, "no")
    return StepEnded(target.rpartition("_")[0], target, outcome)


def _keep(store: MemoryStore, number: int, *events: Event) -> None:
    """Keep a run that started at that hour."""
    run, folder = f"r-{number:08x}", f"/out/.marin-build/runs/r-{number:08x}"
    who = {"user": "ada", "host": "h", "argv": [], "python": "3", "marin_build": "0"}
    document = {"run": run, "start": f"2026-11-21T{number:02}", "provenance": who}
    store.put(f"{folder}/run.json", json.dumps(document).encode())
    store.put(f"{folder}/plan.json", b"{}")
    lines = [header_line(Header(run, "ada@h", 1, "0"), NOW)]
    lines += [event_line(event, NOW, 0.0) for event in events]
    store.put(f"{folder}/events.jsonl", b"".join(lines))


def _newest(store: MemoryStore) -> tuple[str, str, bool]:
    found = newest_attempt(Place("/project", "/out", store))
    return found.target, found.run, found.is_failure


def test_the_newest_failure_goes_before_what_was_built_after_it() -> None:
    """Else a user must search a log of a thousand steps for the one that failed."""
    store = MemoryStore()
    _keep(store, 1, _ended(VERSION, well=False))
    _keep(store, 2, _ended(A, well=False), _ended(B, well=True))
    assert _newest(store) == (A, "r-00000002", True)
    _keep(store, 3, _ended(B, well=True))
    assert _newest(store) == (A, "r-00000002", True)


@pytest.mark.parametrize("how", ["in that run", "by a later run", "by a program"])
def test_a_failure_that_was_mended_counts_no_more(how: str) -> None:
    """Else the log of a failure that was mended last week hides what happens now."""
    store = MemoryStore()
    later = (_ended(A, well=True),) if how == "in that run" else ()
    _keep(store, 1, _ended(A, well=False), *later)
    _keep(store, 2, StepStarted("b", B, 1))
    if how == "by a later run":
        _keep(store, 3, _ended(A, well=True), StepStarted("b", B, 1))
    if how == "by a program":
        store.put(f"/out/{A}/.executor_status", b"SUCCESS")
    target, _, is_failure = _newest(store)
    assert (target, is_failure) == (B, False)


def test_without_runs_a_target_must_be_named() -> None:
    """Else the error does not say what to do."""
    store = MemoryStore()
    _keep(store, 1)
    with pytest.raises(NotFoundError) as caught:
        _newest(store)
    assert "marin-build logs TARGET" in caught.value.render()


def test_damaged_journals_and_hostile_ids_are_passed_over() -> None:
    """Else a file that another user left under the prefix ends the command."""
    store = MemoryStore()
    _keep(store, 1, _ended(A, well=False))
    _keep(store, 2, _ended("../../etc/x_00000001", well=False), _ended("\x1b[2J", well=False))
    _keep(store, 3)
    store.put("/out/.marin-build/runs/r-00000003/events.jsonl", b"\xff")
    hostile = {"run": "../../../etc", "start": "9999", "provenance": {}}
    store.put("/out/.marin-build/runs/r-00000004/run.json", json.dumps(hostile).encode())
    assert _newest(store) == (A, "r-00000001", True)
