"""A tombstone that is misread loses an output, or keeps it for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.errors import CorruptStateError
from marin_build.protocol.claim_outcomes import Finished
from marin_build.protocol.held_target import Holding
from marin_build.protocol.status import parse_status
from marin_build.protocol.tombstone import Tombstone, parse_tombstone, readable_tombstone
from marin_build.protocol.tombstone_writes import put_tombstone, take_all_away, take_away
from marin_build.store.local import LocalStore
from tests.unit.protocol.support import Faulty, commit, hold, take

if TYPE_CHECKING:
    from pathlib import Path

MARK = Tombstone("SUCCESS", "ada@host", "2026-11-30T10:00:00+00:00", "g-1")


@given(st.text(), st.text(), st.text())
def test_it_is_read_as_it_was_written(by: str, at: str, gc: str) -> None:
    mark = Tombstone("SUCCESS", by, at, gc)
    assert parse_tombstone(mark.encode()) == mark


def test_what_is_built_still_counts_as_built_under_it() -> None:
    """Else the next plan builds again what only has to be kept."""
    assert parse_status(MARK.encode(), "p") == "SUCCESS"
    assert parse_status(Tombstone("FAILED", "a", "", "g").encode(), "p") == "FAILED"


@pytest.mark.parametrize(
    "data",
    [
        b"TOMBSTONE ", b"TOMBSTONE {}", b'TOMBSTONE {"was": 1, "by": "", "at": "", "gc": ""}',
        b'TOMBSTONE {"was": "DONE", "by": "", "at": "", "gc": ""}', b"TOMBSTONE " + b"[" * 9999,
    ],
)  # fmt: skip
def test_a_damaged_one_is_no_status(data: bytes) -> None:
    with pytest.raises(CorruptStateError):
        parse_status(data, "p")


@given(st.binary())
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    readable_tombstone(data)
    readable_tombstone(b"TOMBSTONE " + data)


def _built(output: Path) -> str:
    commit(hold(LocalStore(), str(output)), artifact={"by": "ada"})
    blob = LocalStore().get(f"{output}/.executor_status")
    assert blob is not None
    return blob.version


def test_what_was_used_since_it_was_judged_gets_none(tmp_path: Path) -> None:
    version = _built(tmp_path / "a")
    LocalStore().put(f"{tmp_path}/a/.executor_status", b"SUCCESS")
    assert put_tombstone(LocalStore(), f"{tmp_path}/a", version, MARK) is None


def test_a_run_that_finds_one_takes_it_away_and_builds_nothing(tmp_path: Path) -> None:
    """Else it builds again, or uses what gc deletes."""
    output = f"{tmp_path}/a"
    assert put_tombstone(LocalStore(), output, _built(tmp_path / "a"), MARK)
    assert isinstance(take(LocalStore(), output, "bob"), Finished)
    assert (tmp_path / "a" / ".executor_status").read_text() == "SUCCESS"
    assert put_tombstone(LocalStore(), output, _version(tmp_path / "a"), MARK)
    forced = take(LocalStore(), output, "eve", force=True)
    assert isinstance(forced, Holding)  # a forced build writes over it


@pytest.mark.parametrize("how", ["refuse", "die", "lose", "forget"])
@pytest.mark.parametrize("at", range(1, 8))
def test_no_fault_makes_a_run_use_what_still_has_one(tmp_path: Path, at: int, how: str) -> None:
    output = f"{tmp_path}/a"
    put_tombstone(LocalStore(), output, _built(tmp_path / "a"), MARK)
    from marin_build.errors import StoreError

    try:
        found = take(Faulty(at, how), output, "bob")  # type: ignore[arg-type]
    except StoreError:
        return
    assert isinstance(found, Finished)
    assert (tmp_path / "a" / ".executor_status").read_text() == "SUCCESS"


def test_several_are_taken_away_and_what_else_lies_there_is_said(tmp_path: Path) -> None:
    for name in "ab":
        put_tombstone(LocalStore(), f"{tmp_path}/{name}", _built(tmp_path / name), MARK)
    LocalStore().put(f"{tmp_path}/b/.executor_status", b"DELETING")
    found = take_all_away(LocalStore(), [f"{tmp_path}/{name}" for name in "abc"])
    assert [blob and blob.data for blob in found] == [b"SUCCESS", b"DELETING", None]


def test_one_that_is_gone_is_not_taken_away_twice(tmp_path: Path) -> None:
    version = put_tombstone(LocalStore(), f"{tmp_path}/a", _built(tmp_path / "a"), MARK)
    assert version is not None
    assert take_away(LocalStore(), f"{tmp_path}/a", version, MARK)
    assert take_away(LocalStore(), f"{tmp_path}/a", version, MARK) is None


def _version(output: Path) -> str:
    blob = LocalStore().get(f"{output}/.executor_status")
    assert blob is not None
    return blob.version
