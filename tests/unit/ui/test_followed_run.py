"""A run is followed without loss, whatever its store does, and is not called dead too early."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from marin_build.apply import events
from marin_build.apply.journal import Header, event_line, header_line
from marin_build.apply.run_folder import folder_of
from marin_build.errors import StoreError
from marin_build.operations.loading.loading import current_host
from marin_build.operations.loading.place import Place
from marin_build.plan import outcomes
from marin_build.protocol.lease import Lease, process_start
from marin_build.store.memory import MemoryStore
from marin_build.ui.followed_run import FollowedRun
from marin_build.ui.run_watch import RunWatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.apply.events import Event
    from marin_build.store.base import Blob

RUN = "r-0f0110ed"
NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
PREFIX = "gs://b/out"
TOLD: Sequence[Event] = (
    events.ApplyStarted(RUN, 3, 0, 2),
    events.StepStarted("a", "a_11111111", 1),
    events.StepStarted("b", "b_11111111", 2),
    events.StepEnded("a", "a_11111111", outcomes.Succeeded(1, 0.5)),
    events.ApplyExpanded(("more",), 4),
    events.Warned("the disk is nearly full"),
)


class Bucket(MemoryStore):
    """A bucket whose requests for several objects fail if they are to."""

    is_local = False
    is_away = False

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        if self.is_away:
            raise StoreError("cannot read gs://b: 503")
        return super().get_many(paths)


def journal(*told: Event, **header: object) -> bytes:
    host = current_host()
    known = {"pid": os.getpid(), "boot": host.boot, "start": process_start(os.getpid())}
    head = Header(RUN, "ada@laptop", marin_build="0.1.0", **{**known, **header})  # type: ignore[arg-type]
    lines = [event_line(event, NOW, float(at)) for at, event in enumerate(told)]
    return header_line(head, NOW) + b"".join(lines)


def bucket_with(data: bytes) -> tuple[Bucket, Place]:
    store = Bucket()
    store.put(f"{folder_of(PREFIX, RUN)}/events.jsonl", data)
    return store, Place("/project", PREFIX, store)


def test_what_a_look_read_before_it_failed_is_reported_by_the_next() -> None:
    """Else a target of a run elsewhere stays what it was, for as long as the page is open."""
    store, place = bucket_with(journal(*TOLD, boot="another"))
    followed = FollowedRun(place, RUN, None)
    store.is_away = True
    with pytest.raises(StoreError):
        followed.look()
    store.is_away = False
    seen = followed.look()
    assert {each.target: each.outcome for each in seen.changed} == {
        "b_11111111": "begun", "a_11111111": "built",
    }  # fmt: skip
    assert (seen.expanded, seen.expansions, seen.said) == (4, 1, ("the disk is nearly full",))
    assert followed.look().changed == ()


@pytest.mark.parametrize(
    ("header", "outcome"),
    [
        ({}, "running"),
        ({"start": 1}, "died"),  # another process has its number
        ({"boot": "another"}, "unfinished"),
    ],
)
def test_a_run_without_an_end_is_what_runs_says(header: dict[str, object], outcome: str) -> None:
    _, place = bucket_with(journal(*TOLD, **header))
    assert FollowedRun(place, RUN, None).look().run.outcome == outcome


def test_a_lease_shows_that_a_run_elsewhere_was_alive() -> None:
    store, place = bucket_with(journal(*TOLD, boot="another"))
    lease = Lease("bob@tpu", 1_800_000_000.0, run=RUN, attempt=1, nonce="n")
    store.put(f"{PREFIX}/b_11111111/.executor_status.lock", lease.encode())
    now = [0.0]
    followed = FollowedRun(place, RUN, None, lambda: now[0])
    assert followed.look().run.outcome == "running"
    lease_path = f"{PREFIX}/b_11111111/.executor_status.lock"
    store.delete([lease_path])
    assert followed.look().run.outcome == "running", "a bucket is not asked with every look"
    now[0] = 60.0
    assert followed.look().run.outcome == "unfinished"


def test_what_ran_when_a_run_died_is_told_anew() -> None:
    """Else it is shown as running for ever to those who were looking on."""
    store, place = bucket_with(journal(*TOLD))
    watch = RunWatch(place, RUN, None)
    assert watch.take(watch.read())
    watch.number = 1
    first = watch.since(0)
    assert first["is_all"]
    assert first["targets"]["b_11111111"]["state"] == "running"
    assert watch.since(1)["targets"] == {}
    died = FollowedRun(place, RUN, None)
    store.put(f"{folder_of(PREFIX, RUN)}/events.jsonl", journal(*TOLD, start=1))
    assert watch.take(died.look())
    watch.number = 2
    later = watch.since(1)
    assert later["run"]["outcome"] == "died"
    assert later["targets"]["b_11111111"] == {"state": "interrupted"}
    assert later["run"]["to_build"] == 7
    assert not watch.take(died.look()), "nothing is sent that is not new"
