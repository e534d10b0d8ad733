"""From a seal to SUCCESS: by whoever comes along, and never over newer work."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import CorruptStateError, StoreError
from marin_build.protocol.claim_outcomes import Finished, Held
from marin_build.protocol.documents import Attempt
from marin_build.protocol.held_target import Holding
from marin_build.protocol.look import look
from marin_build.protocol.publish import Publisher, finish_publishing
from marin_build.store.local import LocalStore

from .support import (
    ARTIFACT,
    LEASE,
    NOW,
    RECORD,
    STATUS,
    Fault,
    Faulty,
    built_by,
    check_invariants,
    commit,
    hold,
    is_sealed,
    is_success,
    publication,
    take,
)

if TYPE_CHECKING:
    from pathlib import Path


def _die_sealed(output: Path, artifact: Any = None) -> None:
    """Leave a target that is committed, and of which nothing is published."""
    store = Faulty()
    holding = hold(store, str(output))
    store.at, store.how = len(store.calls) + 3, "die"  # attempt, seal, and then
    with pytest.raises(StoreError):
        commit(holding, artifact=artifact)
    assert is_sealed(output)
    assert not (output / RECORD).exists()


@pytest.mark.parametrize("damage", ["changed", "gone", "commits nothing"])
def test_a_seal_whose_attempt_is_not_the_one_is_an_error_not_a_rerun(
    tmp_path: Path, damage: str
) -> None:
    _die_sealed(tmp_path)
    document = tmp_path / ".logs/attempt-0001.json"
    if damage == "gone":
        document.unlink()
    elif damage == "changed":
        document.write_text("{}")
    else:
        import hashlib

        values = {**json.loads(document.read_text()), "publish": None}
        document.write_text(json.dumps(values))
        lease = look(LocalStore(), str(tmp_path)).lease
        assert lease is not None
        digest = hashlib.sha256(document.read_bytes()).hexdigest()
        (tmp_path / LEASE).write_bytes(lease.sealed(digest, 1.0).encode())
    with pytest.raises(CorruptStateError, match=r"missing or was changed|commits nothing"):
        take(LocalStore(), str(tmp_path), "bob")
    assert not is_success(tmp_path)


@pytest.mark.parametrize("force", [False, True])
def test_what_a_power_cut_left_of_a_commit_is_built_again(tmp_path: Path, force: bool) -> None:
    """Else the target is committed for ever, and nobody can publish it."""
    _die_sealed(tmp_path)
    (tmp_path / ".logs/attempt-0001.json").write_bytes(b"")
    store = LocalStore()
    held = take(store, str(tmp_path), "bob", force=force)
    assert isinstance(held, Held), "its holder may live: it is watched, as any other"
    assert not held.lease.is_sealed
    again = hold(store, str(tmp_path), "bob", force=force, stale=held.version)
    assert again.lease.attempt == 2
    commit(again, "bob")
    assert (is_success(tmp_path), built_by(tmp_path)) == (True, "bob")


def test_who_is_still_publishing_when_the_seal_is_taken_off_ends_with_success(
    tmp_path: Path,
) -> None:
    """The server of a shared disk went down, and the holder did not."""
    _die_sealed(tmp_path)
    document, store = tmp_path / ".logs/attempt-0001.json", LocalStore()
    publication = Attempt.from_bytes(document.read_bytes()).publish
    sealed = look(store, str(tmp_path))
    document.write_bytes(b"")
    assert isinstance(take(store, str(tmp_path), "bob"), Held)
    assert publication is not None
    Publisher(store, str(tmp_path), sealed.lease_version).publish(
        publication, sealed.status_version
    )
    assert take(store, str(tmp_path), "bob") == Finished(published=False)


@pytest.mark.parametrize("value", [{"loss": 0.5}, {"loss": math.nan}, [math.inf, -math.inf, "é"]])
def test_whoever_finishes_the_publishing_publishes_the_same_artifact(
    tmp_path: Path, value: Any
) -> None:
    commit(hold(LocalStore(), str(tmp_path / "by itself")), artifact=value)
    _die_sealed(tmp_path / "by another", value)
    assert take(LocalStore(), str(tmp_path / "by another"), "bob") == Finished(published=True)
    own, other = (tmp_path / who / ".artifact.json" for who in ("by itself", "by another"))
    assert own.read_bytes() == other.read_bytes()


def _publishes(output: Path, store: Faulty) -> None:
    finish_publishing(store, str(output), look(LocalStore(), str(output)))


def _calls(output: Path) -> int:
    _die_sealed(output, {"by": "ada"})
    store = Faulty()
    _publishes(output, store)
    return len(store.calls)


@pytest.mark.parametrize("how", ["refuse", "die", "lose", "forget"])
def test_whoever_finishes_a_publishing_may_die_too(tmp_path: Path, how: Fault) -> None:
    for at in range(1, _calls(tmp_path / "count") + 1):
        output = tmp_path / str(at)
        _die_sealed(output, {"by": "ada"})
        with suppress(StoreError):
            _publishes(output, Faulty(at, how))
        check_invariants(output)
        assert isinstance(take(LocalStore(), str(output), "eve"), Finished)
        assert (is_success(output), built_by(output)) == (True, "ada")
        assert not (output / LEASE).exists()


@pytest.mark.parametrize("when", ["before", "after"])
def test_any_number_may_publish_at_the_same_time(tmp_path: Path, when: str) -> None:
    for at in range(1, _calls(tmp_path / "count") + 1):
        output, store = tmp_path / str(at), Faulty(at)
        _die_sealed(output, {"by": "ada"})
        setattr(store, when, lambda output=output: take(LocalStore(), str(output), "bob"))
        _publishes(output, store)
        assert (is_success(output), built_by(output)) == (True, "ada")
        assert json.loads((output / ARTIFACT).read_text()) == {"by": "ada"}
        assert not (output / LEASE).exists()


@pytest.mark.parametrize("ends", [True, False], ids=["was rebuilt", "is being rebuilt"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_publisher_that_slept_does_not_write_over_a_newer_build(
    tmp_path: Path, when: str, ends: bool
) -> None:
    """Else a forced build of an hour ago is called by the name of the one before it."""
    for at in range(1, _calls(tmp_path / "count") + 1):
        output, store, newer = tmp_path / str(at), Faulty(at), list[Holding]()
        _die_sealed(output, {"by": "ada"})

        def rebuild(output: Path = output, newer: list[Holding] = newer) -> None:
            assert isinstance(take(LocalStore(), str(output), "bob"), Finished)
            newer.append(hold(LocalStore(), str(output), "bob", force=True))
            if ends:
                commit(newer[0], "bob", {"by": "bob"})

        setattr(store, when, rebuild)
        _publishes(output, store)
        if not ends:
            assert (output / STATUS).read_text() == "RUNNING", f"slept at call {at}"
            assert look(LocalStore(), str(output)).lease == newer[0].lease
            commit(newer[0], "bob", {"by": "bob"})
        assert (is_success(output), built_by(output)) == (True, "bob"), f"slept at call {at}"
        assert json.loads((output / ARTIFACT).read_text()) == {"by": "bob"}
        assert not (output / LEASE).exists()


def test_a_publisher_that_slept_does_not_bring_back_what_was_deleted(tmp_path: Path) -> None:
    """Else an empty folder says SUCCESS, and all that needs it reads nothing."""
    for at in range(1, _calls(tmp_path / "count") + 1):
        output, store = tmp_path / str(at), Faulty(at)
        _die_sealed(output, {"by": "ada"})

        def finish_and_delete(output: Path = output) -> None:
            take(LocalStore(), str(output), "bob")
            for name in (STATUS, RECORD, ARTIFACT):
                (output / name).unlink()

        store.before = finish_and_delete
        with suppress(CorruptStateError):
            _publishes(output, store)
        assert not is_success(output) or at == len(store.calls), f"slept at call {at}"


def test_a_lease_left_by_a_builder_that_died_after_success_does_not_stop_a_forced_build(
    tmp_path: Path,
) -> None:
    store, output = Faulty(), str(tmp_path)
    holding = hold(store, output)
    store.at, store.how = len(store.calls) + 5, "die"  # between SUCCESS and the end of the lease
    with pytest.raises(StoreError):
        commit(holding)
    assert is_success(tmp_path)
    assert is_sealed(tmp_path)
    assert isinstance(take(LocalStore(), output, "bob", force=True), Holding)


def test_an_artifact_that_is_not_returned_is_not_written(tmp_path: Path) -> None:
    commit(hold(LocalStore(), str(tmp_path)))
    assert not (tmp_path / ARTIFACT).exists()


def test_a_rebuild_replaces_record_and_artifact(tmp_path: Path) -> None:
    commit(hold(LocalStore(), str(tmp_path)), artifact={"by": "ada"})
    commit(hold(LocalStore(), str(tmp_path), "bob", force=True), "bob", {"by": "bob"})
    assert built_by(tmp_path) == "bob"
    assert json.loads((tmp_path / ARTIFACT).read_text()) == {"by": "bob"}


@pytest.mark.parametrize("attempts", [1, 2])
def test_an_artifact_that_the_step_wrote_itself_stays_byte_for_byte(
    tmp_path: Path, attempts: int
) -> None:
    """It is a record for another program; ours holds less than that."""
    own = b'{"name": "x",  "result": null}'
    for _ in range(attempts - 1):
        hold(LocalStore(), str(tmp_path)).fail("failed", 1, "", NOW)
    holding = hold(LocalStore(), str(tmp_path))
    (tmp_path / ARTIFACT).write_bytes(own)
    said = publication("ada", holding.lease.attempt, json.loads(own))
    holding.commit(said.model_copy(update={"keeps_artifact": True}), NOW)
    assert is_success(tmp_path)
    assert (tmp_path / ARTIFACT).read_bytes() == own
