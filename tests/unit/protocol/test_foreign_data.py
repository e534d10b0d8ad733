"""Whose data lies at an output path: a wrong answer deletes the only copy of a checkpoint."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.foreign_data import ForeignData, OwnData, find_data
from marin_build.protocol.held_target import Holding
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore

from .support import LEASE, RECORD, STATUS, Faulty, lease_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from marin_build.protocol.look import Seen

ATTEMPT = ".logs/attempt-0001.json"
LOG = ".logs/attempt-0001.log"
TEMPORARY = ".executor_status.lock.4711-3.tmp"
CASES: dict[tuple[str, ...], tuple[type | None, type | None]] = {
    # what lies there: whose it is, before the lease and under our own
    (): (None, None),
    (LOG,): (None, None),
    (TEMPORARY,): (None, None),
    (".changed", ".accepted.json", ".artifact.json"): (None, None),
    (ATTEMPT, STATUS): (None, None),
    ("step-1.ckpt",): (ForeignData, ForeignData),
    (".hidden",): (ForeignData, ForeignData),
    ("sub/deep/a",): (ForeignData, ForeignData),
    ("a", TEMPORARY): (ForeignData, ForeignData),
    ("a", LOG): (ForeignData, ForeignData),
    ("a", ".artifact.json"): (ForeignData, ForeignData),
    ("attempt-0001.json",): (ForeignData, ForeignData),
    ("sub/.executor_status",): (ForeignData, ForeignData),
    (".logs-of-mine/attempt-0001.json",): (ForeignData, ForeignData),
    (".executor_status.bak",): (ForeignData, ForeignData),
    ("a", LEASE): (OwnData, ForeignData),
    ("a", STATUS): (OwnData, OwnData),
    ("a", RECORD): (OwnData, OwnData),
    ("a", ATTEMPT): (OwnData, OwnData),
}


@pytest.mark.parametrize("is_remote", [False, True])
@pytest.mark.parametrize(("names", "whose"), CASES.items(), ids=map(" ".join, CASES))
def test_whose_data_it_is(
    names: tuple[str, ...], whose: tuple[type | None, type | None], is_remote: bool
) -> None:
    store = MemoryStore()
    store.is_local = not is_remote
    for name in names:
        store.put(f"/out/{name}", _document("r-1") if name == ATTEMPT else b"x")
    for is_held, kind in zip((False, True), whose, strict=True):
        found = find_data(store, "/out", is_held=is_held)
        assert (type(found) if found is not None else None) is kind


def _document(run: str) -> bytes:
    return json.dumps({"result": "failed", "run": run, "worker": "ada@here"}).encode()


@pytest.mark.parametrize(
    ("documents", "status", "whose"),
    [
        ([_document("a-1")], b"RUNNING", ForeignData),
        ([], b"RUNNING", ForeignData),
        ([b"damaged"], b"RUNNING", ForeignData),
        ([_document("a-1"), _document("r-2")], b"RUNNING", OwnData),
        ([_document("r-1"), _document("a-2")], b"RUNNING", OwnData),
    ],
)
def test_what_an_interrupted_adopt_left_proves_nothing(
    documents: list[bytes], status: bytes, whose: type
) -> None:
    """It writes lease, status and attempt beside data that a person wants to keep."""
    store = MemoryStore()
    store.put("/out/ckpt", b"hours")
    store.put(f"/out/{STATUS}", status)
    store.put(f"/out/{LEASE}", b"x")
    for number, data in enumerate(documents, 1):
        store.put(f"/out/.logs/attempt-{number:04}.json", data)
    assert isinstance(find_data(store, "/out", adopting=True), whose)
    assert isinstance(find_data(store, "/out"), OwnData)


def test_an_empty_folder_is_data_on_a_disk(tmp_path: Path) -> None:
    """A mount point, or the start of a copy: to delete it is not ours to decide."""
    (tmp_path / "sub").mkdir()
    found = find_data(LocalStore(), str(tmp_path))
    assert isinstance(found, ForeignData)
    assert (found.files, found.paths) == (0, ("sub",))


def test_data_is_told_apart_by_its_listing() -> None:
    """Else an agreement to delete one file deletes all that came since."""
    store = MemoryStore()
    seen: list[ForeignData] = []
    for name, data in [("a", b"x"), ("b", b"x"), ("a", b"xy")]:
        store.put(f"/out/{name}", data)
        found = find_data(store, "/out")
        assert isinstance(found, ForeignData)
        seen.append(found)
    assert len({found.listing for found in seen}) == 3
    assert (seen[-1].files, seen[-1].size, seen[-1].paths) == (2, 3, ("a", "b"))


@pytest.mark.parametrize("name", sorted(layout._KEPT | {".changed", TEMPORARY}))
def test_our_own_files_are_no_data(name: str) -> None:
    assert layout.is_ours(name)


@pytest.mark.parametrize("name", ["a", ".a", ".executor_status.tmp", "x.1-2.tmp", ".logs.1.tmp"])
def test_other_files_are_data(name: str) -> None:
    assert not layout.is_ours(name)


def _take(
    store: LocalStore | Faulty,
    output: Path,
    who: str = "ada",
    seen: Seen | None = None,
    *,
    may_clear: Callable[[ForeignData], bool] = lambda _: False,
) -> Holding | Held | Finished | Foreign:
    from .support import NOW

    return Claimant(
        store, str(output), target="train_1", lease=lease_of(who), now=NOW,
        is_abandoned=lambda lease: lease.nonce != f"nonce-{who}", clock=lambda: 1000.0,
        may_clear=may_clear,
    ).acquire(seen)  # fmt: skip


def _names(output: Path) -> list[str]:
    return sorted(path.name for path in output.iterdir())


def test_foreign_data_is_left_as_it_is(tmp_path: Path) -> None:
    """And nothing of ours beside it: the next run would believe that the data is ours."""
    (tmp_path / "ckpt").write_text("hours")
    got = _take(LocalStore(), tmp_path)
    assert isinstance(got, Foreign)
    assert got.data.paths == ("ckpt",)
    assert _names(tmp_path) == ["ckpt"]


def test_what_a_person_agreed_to_is_taken(tmp_path: Path) -> None:
    (tmp_path / "ckpt").write_text("hours")
    got = _take(LocalStore(), tmp_path, may_clear=lambda data: data.paths == ("ckpt",))
    assert isinstance(got, Holding)
    assert not got.is_empty


@pytest.mark.parametrize("how", ["die", "lose", "refuse", "forget"])
@pytest.mark.parametrize("at", range(1, 9))
def test_a_run_that_dies_on_foreign_data_does_not_make_it_ours(
    tmp_path: Path, at: int, how: str
) -> None:
    """Whatever it left, the next run must still see that no build made the data."""
    (tmp_path / "ckpt").write_text("hours")
    try:
        got = _take(Faulty(at, how), tmp_path)  # type: ignore[arg-type]
        assert isinstance(got, Foreign)
    except StoreError:
        pass
    assert isinstance(_take(LocalStore(), tmp_path, "bob"), Foreign)
    assert set(_names(tmp_path)) <= {"ckpt", ".logs"}
    assert (tmp_path / "ckpt").read_text() == "hours"


def test_data_that_replaced_a_failed_output_since_the_plan(tmp_path: Path) -> None:
    """The plan saw FAILED there; a person has moved that away and copied a checkpoint there."""
    from marin_build.protocol.look import Seen

    (tmp_path / "ckpt").write_text("hours")
    old = Seen(status="FAILED", status_version="1-2-3", attempt=1)
    assert isinstance(_take(LocalStore(), tmp_path, seen=old), Foreign)
    assert _names(tmp_path) == ["ckpt"]


def test_a_claimant_that_clears_nothing_does_not_look(tmp_path: Path) -> None:
    """A resumable step goes on with a checkpoint that a person put there."""
    (tmp_path / "ckpt").write_text("hours")
    store = Faulty()
    got = _take(store, tmp_path, may_clear=None)  # type: ignore[arg-type]
    assert isinstance(got, Holding)
    assert "folders" not in [verb for verb, _ in store.calls]
