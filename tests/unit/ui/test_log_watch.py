"""A log is shown from its end on, each line once, and never more of it than a page can hold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.operations.loading.place import Place
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore
from marin_build.ui import log_source
from marin_build.ui.log_source import LogBytes, LogFacts, LogName
from marin_build.ui.log_watch import LogWatch, shown_lines

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.store.base import Blob

STAMP = "2026-11-21T10:20:30.000Z "


class Shown:
    """What a page shows that hears of each change."""

    def __init__(self, watch: LogWatch) -> None:
        self.watch = watch
        self.known = 0
        self.lines: list[str] = []
        self.log: dict[str, Any] = {}

    def look(self) -> None:
        if self.watch.take(self.watch.read()):
            self.watch.number += 1
        if self.watch.number > self.known:
            said = self.watch.since(self.known)
            self.known, self.log = self.watch.number, said["log"]
            self.lines = said["lines"] if said["is_all"] else [*self.lines, *said["lines"]]


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Shown, Path]:
    """A page, and the log that it shows: of the first attempt, which runs on another machine."""
    monkeypatch.setattr("marin_build.ui.log_watch._FACTS_EVERY", 0.0)
    output = tmp_path / "train_11111111"
    log = output / ".logs" / "attempt-0001.log"
    log.parent.mkdir(parents=True)
    lock = '{"worker_id": "bob@tpu run=r-1 attempt=1 nonce=n", "timestamp": 1.0}'
    (output / ".executor_status.lock").write_text(lock)
    place = Place(str(tmp_path), str(tmp_path), LocalStore())
    return Shown(LogWatch(place, LogName(str(output), output.name))), log


def end(log: Path) -> None:
    (log.parents[1] / ".executor_status.lock").unlink()


def test_lines_are_shown_as_they_come(shown: tuple[Shown, Path]) -> None:
    page, log = shown
    page.look()
    assert (page.lines, page.log["number"], page.log["is_over"]) == ([], 1, False)
    assert page.log["how"] == "running, bob@tpu, run r-1"
    log.write_text("one\ntw")
    page.look()
    assert page.lines == ["one"]
    with log.open("a") as stream:
        stream.write("o\nthree")
    page.look()
    assert page.lines == ["one", "two"]
    end(log)
    page.look()
    assert page.lines == ["one", "two", "three"], "the last line of what is over needs no end"
    assert page.log["is_over"]


def test_a_page_that_was_away_gets_what_it_missed(shown: tuple[Shown, Path]) -> None:
    page, log = shown
    log.write_text("one\n")
    page.look()
    other = Shown(page.watch)
    with log.open("a") as stream:
        stream.write("two\n")
    page.look()
    other.look()
    assert page.lines == other.lines == ["one", "two"]


def test_a_log_whose_middle_is_cut_out_is_shown_from_its_end(shown: tuple[Shown, Path]) -> None:
    """Else all lines after it are missing."""
    page, log = shown
    log.write_text("long\n" * 100)
    page.look()
    log.write_text("head\n... 400 bytes were cut out here\n")
    page.look()
    assert page.lines == ["head", "... 400 bytes were cut out here"]


def test_a_page_holds_the_end_of_a_long_log(
    shown: tuple[Shown, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a step that prints without end fills the memory of server and browser."""
    for module in ("log_source", "log_watch"):
        monkeypatch.setattr(f"marin_build.ui.{module}.MOST_OF_A_PART", 100)
    page, log = shown
    log.write_text("".join(f"line {number:04}\n" for number in range(1000)))
    page.look()
    assert page.lines == [f"line {number:04}" for number in range(991, 1000)]
    for start in range(1000, 1100):
        with log.open("a") as stream:
            stream.write(f"line {start:04}\n")
        page.look()
    assert page.lines[-100:] == [f"line {number:04}" for number in range(1000, 1100)]
    late = Shown(page.watch)
    late.look()
    assert len(late.lines) <= 20


def test_a_page_that_was_away_for_long_knows_which_lines_it_has(shown: tuple[Shown, Path]) -> None:
    """Else who reads in the middle of a log loses the place by looking at another tab."""
    page, log = shown
    log.write_text("one\n")
    page.look()
    assert page.watch.since(0)["end"] == 4
    with log.open("a") as stream:
        stream.write("t\rwo\n\nthree")
    end(log)
    again = Shown(LogWatch(page.watch._place, page.watch.log))
    again.look()
    said = again.watch.since(0)
    assert (said["start"], said["ends"], said["end"]) == (0, [4, 9, 10, 15], 15)
    assert len(said["lines"]) == len(said["ends"])


def test_a_line_as_long_as_a_part_is_shown(
    shown: tuple[Shown, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the log of a step that printed one huge line looks empty."""
    monkeypatch.setattr(log_source, "MOST_OF_A_PART", 100)
    page, log = shown
    log.write_text("first\n")
    page.look()
    with log.open("a") as stream:
        stream.write("x" * 120 + "\n")
    page.look()
    assert page.lines == ["x" * 99]
    with log.open("a") as stream:
        stream.write("last\n")
    page.look()
    assert page.lines == ["x" * 99, "last"]


LOGS = st.lists(st.text(alphabet="ab", max_size=60), max_size=60).map(
    lambda lines: "".join(f"{line}\n" for line in lines).encode()
)


@given(data=LOGS)
def test_earlier_parts_make_the_whole_log(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each line once, none in two pieces, whatever their lengths."""
    path = tmp_path_factory.mktemp("logs") / "x.log"
    path.write_bytes(data)
    facts = LogFacts(number=1, path=str(path))
    place = Place("/", "/", LocalStore())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_source, "MOST_OF_A_PART", 64)
        source = LogBytes(place, LogName("/", "x"))
        part = source.end_of(facts)
        parts = [part.data]
        while part.start:
            part = source.before(facts, part.start)
            parts.insert(0, part.data)
            assert len(parts) < 200
    assert b"".join(parts) == data
    assert all(each.endswith(b"\n") for each in parts if each)


class Counting(MemoryStore):
    """Notes what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []

    def get(self, path: str) -> Blob | None:
        self.read.append(path)
        return super().get(path)


def test_the_log_of_a_bucket_is_read_once() -> None:
    store = Counting()
    output = "gs://b/out/train_11111111"
    store.put(f"{output}/.logs/attempt-0001.log", f"{STAMP}one\n{STAMP}two\n".encode())
    page = Shown(LogWatch(Place("/", "gs://b/out", store), LogName(output, "train_11111111")))
    for _ in range(3):
        page.look()
    assert page.lines == [f"{STAMP}one", f"{STAMP}two"]
    assert page.log["how"] == "how it ended is not known"
    assert [path for path in store.read if path.endswith(".log")] == [
        f"{output}/.logs/attempt-0001.log"
    ]


def test_a_log_on_another_machine_is_said_to_be_there() -> None:
    store = MemoryStore()
    output = "gs://b/out/train_11111111"
    lock = b'{"worker_id": "bob@tpu run=r-1 attempt=2 nonce=n", "timestamp": 1.0}'
    store.put(f"{output}/.executor_status.lock", lock)
    page = Shown(LogWatch(Place("/", "gs://b/out", store), LogName(output, "train_11111111")))
    page.look()
    assert page.log["problem"] == (
        "the log of attempt 2 at `train_11111111` is on another machine. runs on: bob@tpu, run "
        "r-1, attempt 2. that machine copies it into the store when the attempt ends"
    )


def test_each_rank_of_a_gang_has_its_log(tmp_path: Path) -> None:
    """Else what rank 3 printed before it failed is found by listing folders."""
    output = tmp_path / "train_11111111"
    ranks = output / ".logs" / "attempt-0001"
    ranks.mkdir(parents=True)
    (output / ".logs" / "attempt-0001.log").write_text("leader\n")
    (ranks / "rank-1.log").write_text("one\n")
    (ranks / "rank-1.json").write_text("{}")
    place = Place(str(tmp_path), str(tmp_path), LocalStore())
    for rank, lines, problem in (
        (0, ["leader"], ""),
        (1, ["one"], ""),
        (
            2,
            [],
            "attempt 1 at `train_11111111` has no log of a rank 2. ranks with logs: rank-1.log",
        ),
    ):
        page = Shown(LogWatch(place, LogName(str(output), "train_11111111", 1, rank)))
        page.look()
        assert (page.lines, page.log["problem"], page.log["ranks"]) == (lines, problem, 1)
    page = Shown(LogWatch(place, LogName(str(output), "train_11111111", 7)))
    page.look()
    assert page.log["problem"] == "there is no attempt 7"


def test_what_is_no_text_is_written_out() -> None:
    data = "\x1b[31mred\x1b[0m\tx \u202e \u2028 \x00 \x1b]0;title\x07 é\n\udcff".encode(
        "utf-8", "surrogateescape"
    )
    assert shown_lines(data) == ["red\tx \\u202e \\u2028 \\x00  é", "\ufffd"]
    assert len(shown_lines(b"x" * 1_000_000)[0]) < 11_000
    assert shown_lines(b"") == []
    assert shown_lines(b"a\n\nb\n") == ["a", "", "b"]


def test_a_log_that_cannot_be_read_is_not_called_empty(shown: tuple[Shown, Path]) -> None:
    """Links of other users are not followed, and what waits for a writer is not waited for."""
    page, log = shown
    (log.parents[2] / "secret").write_text("secret\n")
    log.symlink_to(log.parents[2] / "secret")
    page.look()
    assert (page.lines, page.log["problem"]) == (
        [],
        "its log cannot be read: it is a symbolic link, not a file",
    )
    log.unlink()
    os.mkfifo(log)
    page.look()
    assert (page.lines, page.log["problem"]) == (
        [],
        "its log cannot be read: it is a named pipe, not a file",
    )
    log.unlink()
    log.write_text("one\n")
    page.look()
    assert (page.lines, page.log["problem"]) == (["one"], "")
