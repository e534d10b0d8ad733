"""A growing journal is read once, wherever it grows, and from wherever a part of it can be read."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply import events
from marin_build.apply.journal import Header, event_line, header_line
from marin_build.apply.run_folder import folder_of
from marin_build.operations.loading.place import Place
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore
from marin_build.ui import journal_feed
from marin_build.ui.journal_feed import JournalFeed
from marin_build.workspace.private_folder import forget_private_folder, private_folder

if TYPE_CHECKING:
    from pathlib import Path

RUN = "r-0f33d01a"
NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
HEAD = Header(RUN, "ada@laptop", 42, "0.1.0")
LINES = [
    event_line(events.StepStarted(name, f"{name}_1", 1), NOW, float(at))
    for at, name in enumerate(("a", "b", "c\u2028d", "\ud800"))
]
WHOLE = header_line(HEAD, NOW) + b"".join(LINES)
NAMES = ["a", "b", "c\u2028d", "\ud800"]


def names(feed: JournalFeed) -> list[str]:
    return [entry.fields["name"] for entry in feed.look()]


class Bucket(MemoryStore):
    """Counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0

    def get(self, path: str):  # type: ignore[no-untyped-def]
        self.read += 1
        return super().get(path)


def in_bucket() -> tuple[JournalFeed, Bucket]:
    store = Bucket()
    return JournalFeed(Place("/project", "gs://b/out", store), RUN), store


@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_each_entry_is_read_once_however_the_journal_grows(
    cuts: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Else a target that was built twice, or never, is shown."""
    prefix = str(tmp_path_factory.mktemp("outputs"))
    path = f"{folder_of(prefix, RUN)}/events.jsonl"
    os.makedirs(os.path.dirname(path))
    feed = JournalFeed(Place("/project", prefix, LocalStore()), RUN)
    assert feed.look() == []
    found, at = [], 0
    for cut in [*sorted(cuts), len(WHOLE)]:
        with open(path, "ab") as stream:
            stream.write(WHOLE[at:cut])
        at = cut
        found += names(feed)
    assert found == NAMES
    assert feed.head == (HEAD, "2026-11-21T10:20:30.000+00:00")
    assert (feed.is_here, feed.has_more, feed.problem) == (True, False, "")


def test_a_long_journal_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else 100 MB are parsed before a page shows anything."""
    monkeypatch.setattr(journal_feed, "_MOST", 100)
    path = tmp_path / ".marin-build/runs" / RUN / "events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(WHOLE)
    feed = JournalFeed(Place("/project", str(tmp_path), LocalStore()), RUN)
    found, looks = names(feed), 1
    while feed.has_more:
        found, looks = found + names(feed), looks + 1
    assert found == NAMES
    assert looks > 5


def test_a_bucket_is_read_again_only_when_its_copy_grew() -> None:
    """Else each look at a bucket loads the whole journal."""
    feed, store = in_bucket()
    assert feed.look() == []
    path = f"gs://b/out/.marin-build/runs/{RUN}/events.jsonl"
    store.put(path, WHOLE[: -len(LINES[3]) - 4])
    assert names(feed) == NAMES[:2]
    assert feed.look() == []
    assert store.read == 1
    store.put(path, WHOLE)
    assert names(feed) == NAMES[2:]
    assert (feed.look(), store.read, feed.is_here) == ([], 2, False)


def test_a_run_into_a_bucket_is_followed_in_the_file_of_this_machine() -> None:
    """Else the page of a run on this very machine is a minute late."""
    feed, store = in_bucket()
    local = os.path.join(private_folder(RUN), "events.jsonl")
    with open(local, "wb") as stream:
        stream.write(WHOLE[: -len(LINES[3])])
    assert names(feed) == NAMES[:3]
    assert (feed.is_here, store.read) == (True, 0)
    os.unlink(local)  # it ended, and sent all
    store.put(f"gs://b/out/.marin-build/runs/{RUN}/events.jsonl", WHOLE)
    assert names(feed) == NAMES[3:]
    forget_private_folder(RUN)


@pytest.mark.parametrize(
    "data",
    [b"{}\n", b"no json\n" + WHOLE, WHOLE.replace(b'"schema_version": 1', b'"schema_version": 9')],
)
def test_what_is_no_journal_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / ".marin-build/runs" / RUN / "events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    feed = JournalFeed(Place("/project", str(tmp_path), LocalStore()), RUN)
    assert feed.look() == []
    assert feed.problem.startswith("its ")
    assert feed.head is None


def test_a_link_in_the_place_of_a_journal_is_not_followed(tmp_path: Path) -> None:
    """Else who may write the prefix shows your files to those who look at your screen."""
    path = tmp_path / ".marin-build/runs" / RUN / "events.jsonl"
    path.parent.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(WHOLE)
    path.symlink_to(tmp_path / "secret")
    feed = JournalFeed(Place("/project", str(tmp_path), LocalStore()), RUN)
    assert feed.look() == []


def test_lines_that_are_damaged_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / ".marin-build/runs" / RUN / "events.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(header_line(HEAD, NOW) + b"[" * 5000 + b"\n\xff\n{}\n" + LINES[0])
    feed = JournalFeed(Place("/project", str(tmp_path), LocalStore()), RUN)
    assert names(feed) == ["a"]
