"""A journal is kept as well as can be, and stops nothing."""

from __future__ import annotations

import os
import tempfile
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from marin_build.apply import events, journal_writer
from marin_build.apply.journal import parse_journal
from marin_build.apply.journal_writer import Journaling
from marin_build.errors import StoreError
from marin_build.plan.outcomes import Blocked
from marin_build.protocol.documents import Provenance
from marin_build.protocol.lease import Host
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.run_step.session import Session

PREFIX = "gs://bucket/run"
KEPT = f"{PREFIX}/.marin-build/runs/r-0123abcd/events.jsonl"
STARTED = events.ApplyStarted("r-0123abcd", 2, 0, 1)
BLOCKED = events.StepEnded("a", "a_0badcafe", Blocked("b"))


class Bucket(MemoryStore):
    """A store that says when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Semaphore(0)
        self.fails = False

    def put(self, path: str, data: bytes) -> str:
        if self.fails:
            raise StoreError("the bucket is gone")
        version = super().put(path, data)
        self.written.release()
        return version


class Run:
    """What a journal needs of a session."""

    run = "r-0123abcd"

    @staticmethod
    def provenance() -> Provenance:
        return Provenance(user="ada", host="laptop", argv=(), python="3", marin_build="0.1.0")

    host = Host("ada@laptop", "boot-1")

    def __init__(self) -> None:
        self.store = Bucket()

    def now(self) -> datetime:
        return datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return Run()


def begin(run: Run, prefix: str = PREFIX, *, keep: bool = True) -> tuple[Journaling, list[Any]]:
    told: list[Any] = []
    journal = Journaling(told.append)
    journal.open(prefix, cast("Session", run), keep=keep)
    return journal, told


def names(data: bytes) -> list[str]:
    return [entry.event for entry in parse_journal(data).entries]


def test_before_it_is_opened_events_are_passed_on_only() -> None:
    told: list[Any] = []
    journal = Journaling(told.append)
    journal(STARTED)
    journal.close()
    assert told == [STARTED]


def test_on_a_disk_each_event_is_there_at_once(run: Run, tmp_path: Path) -> None:
    journal, told = begin(run, str(tmp_path))
    kept = tmp_path / ".marin-build/runs/r-0123abcd/events.jsonl"
    journal(STARTED)
    assert names(kept.read_bytes()) == ["apply_started"]
    journal(BLOCKED)
    assert names(kept.read_bytes()) == ["apply_started", "step_blocked"]
    journal.close()
    assert kept.exists()
    assert told == [STARTED, BLOCKED]


def test_a_bucket_gets_it_while_the_run_goes_on_and_at_the_end(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a machine that is taken away takes the journal of a week along."""
    monkeypatch.setattr(journal_writer, "_SEND_FIRST_AFTER", 0.0)
    journal, _ = begin(run)
    assert run.store.written.acquire(timeout=240)
    journal(STARTED)
    assert run.store.get(KEPT) is not None
    journal(BLOCKED)
    journal.close()
    kept = run.store.get(KEPT)
    assert kept is not None
    assert names(kept.data) == ["apply_started", "step_blocked"]
    assert list(tmp_path.glob("*/*")) == []


def test_what_is_not_kept_is_gone_at_the_end(run: Run, tmp_path: Path) -> None:
    journal, _ = begin(run, keep=False)
    journal(STARTED)
    journal.finish()
    with open(journal.path, "rb") as stream:
        assert names(stream.read()) == ["apply_started"]
    journal.close()
    assert run.store.get(KEPT) is None
    assert list(tmp_path.glob("*/*")) == []


def test_a_bucket_that_refuses_it_is_a_warning(run: Run) -> None:
    journal, told = begin(run)
    run.store.fails = True
    journal.close()
    assert told == [events.Warned("the journal of r-0123abcd is not kept: the bucket is gone")]


def test_a_disk_that_is_full_is_one_warning(run: Run, tmp_path: Path) -> None:
    """Else a run of days ends because of a file that no build needs."""
    journal, told = begin(run, str(tmp_path))
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file)
    os.close(full)
    journal(STARTED)
    journal(BLOCKED)
    journal.close()
    why = "the journal of r-0123abcd is not kept: no space left on device"
    assert told == [events.Warned(why), STARTED, BLOCKED]


def test_a_place_that_cannot_be_written_is_one_warning(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".marin-build").write_text("not a folder")
    journal, told = begin(run, str(tmp_path))
    journal(STARTED)
    journal.close()
    assert [type(event) for event in told] == [events.Warned, events.ApplyStarted]
