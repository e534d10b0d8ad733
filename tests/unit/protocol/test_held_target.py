"""Committing a target or ending without success, and dying at any instant in between.

No crash may lose finished work, publish half of it, or undo what somebody else built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol.claim_outcomes import Finished
from marin_build.protocol.documents import Attempt, Record
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.look import look
from marin_build.protocol.state_machine import State
from marin_build.store.local import LocalStore
from marin_build.text.moments import stamp

from .support import (
    LEASE,
    NOW,
    RECORD,
    STATUS,
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

    from marin_build.protocol.documents import Result
    from marin_build.store.base import Store

    from .support import Fault


def _document(output: Path, number: int) -> Attempt:
    return Attempt.from_bytes((output / f".logs/attempt-{number:04}.json").read_bytes())


def test_the_order_of_the_writes_is_the_promise(tmp_path: Path) -> None:
    store = Faulty()
    commit(hold(store, str(tmp_path)), artifact={"loss": 1})
    assert store.writes == [
        f"create {LEASE}",
        f"create {STATUS}",
        "create attempt-0001.json",
        f"replace {LEASE}",  # the seal: this one write commits
        f"create {RECORD}",
        "create .artifact.json",
        f"replace {STATUS}",
        f"delete {LEASE}",
    ]
    assert (tmp_path / STATUS).read_text() == "SUCCESS"
    assert (tmp_path / ".artifact.json").read_text() == '{"loss": 1}'
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted([STATUS, RECORD, ".artifact.json", ".logs"])


def test_a_commit_reads_nothing_when_nobody_is_in_its_way(tmp_path: Path) -> None:
    """Every request more is paid for by every target of every run."""
    store = Faulty()
    holding = hold(store, str(tmp_path))
    before = len(store.reads)
    commit(holding)
    assert len(store.reads) == before


def test_a_failure_writes_its_document_before_its_status(tmp_path: Path) -> None:
    """Else somebody reads FAILED and finds no reason."""
    store = Faulty()
    hold(store, str(tmp_path)).fail("failed", 7, "boom", NOW)
    assert store.writes[2:] == [
        f"replace {LEASE}",
        "create attempt-0001.json",
        f"replace {STATUS}",
        f"delete {LEASE}",
    ]


def test_a_document_says_how_the_attempt_ended(tmp_path: Path) -> None:
    hold(LocalStore(), str(tmp_path / "a")).fail("failed", 7, "boom", NOW)
    failed = _document(tmp_path / "a", 1)
    assert (failed.result, failed.exit_code, failed.message) == ("failed", 7, "boom")
    assert (failed.target, failed.run, failed.worker) == ("train_1", "r-1", "ada@far")
    assert failed.end == failed.start == stamp(NOW) == "2026-11-21T10:20:30.000+00:00"
    assert failed.publish is None
    commit(hold(LocalStore(), str(tmp_path / "b")))
    built = _document(tmp_path / "b", 1)
    assert (built.result, built.exit_code, built.message) == ("succeeded", 0, None)
    assert built.publish == publication("ada", 1)


def test_an_interrupted_target_is_not_called_failed(tmp_path: Path) -> None:
    assert hold(LocalStore(), str(tmp_path)).fail("interrupted", 130, "^C", NOW)
    assert (tmp_path / STATUS).read_text() == "RUNNING"
    assert not (tmp_path / LEASE).exists()


def test_the_holder_may_commit_and_fail_after_its_keeper_renewed_the_lease(tmp_path: Path) -> None:
    store = LocalStore()
    for end in ("commit", "fail"):
        output = str(tmp_path / end)
        holding = hold(store, output)
        store.replace_if(f"{output}/{LEASE}", holding.lease.renewed(9.0).encode(), holding.version)
        commit(holding) if end == "commit" else holding.fail("failed", 1, "", NOW)
        seen = look(store, output)
        assert (seen.status, seen.lease) == ("SUCCESS" if end == "commit" else "FAILED", None)


def _renew(output: Path) -> None:
    """Do what the keeper does."""
    store, path = LocalStore(), f"{output}/{LEASE}"
    blob = store.get(path)
    if blob is not None and not (lease := parse_lease(blob.data, path)).is_sealed:
        store.replace_if(path, lease.renewed(lease.timestamp + 1).encode(), blob.version)


@pytest.mark.parametrize("result", ["failed", "interrupted"])
def test_a_keeper_that_renews_at_any_call_of_a_failure_leaves_no_lease(
    tmp_path: Path, result: Result
) -> None:
    """Else the retry waits for a minute, for nobody; and the failure is told as a lost lease."""
    for at in range(1, 7):
        output, store = tmp_path / f"{result}{at}", Faulty()
        holding = hold(store, str(output))
        store.at, store.before = len(store.calls) + at, lambda output=output: _renew(output)  # type: ignore[misc]
        assert holding.fail(result, 1, "boom", NOW), f"renewed before call {at}"
        assert not (output / LEASE).exists()
        assert _document(output, 1).result == result


def test_a_keeper_that_renews_at_any_call_of_a_commit_does_not_stop_it(tmp_path: Path) -> None:
    for at in range(1, 8):
        output, store = tmp_path / str(at), Faulty()
        holding = hold(store, str(output))
        store.at, store.before = len(store.calls) + at, lambda output=output: _renew(output)  # type: ignore[misc]
        commit(holding)
        assert is_success(output)
        assert not (output / LEASE).exists()


def test_renewing_says_whether_the_lease_is_still_ours(tmp_path: Path) -> None:
    store, output = LocalStore(), str(tmp_path)
    holding = hold(store, output)
    assert holding.renew(50.0, 2.0)
    assert holding.held_since == 50.0
    assert look(store, output).lease == holding.lease
    hold(store, output, "bob", stale=holding.version)
    assert not holding.renew(60.0, 3.0)
    assert (holding.held_since, holding.state) == (50.0, State.LOST)
    assert not holding.renew(70.0, 4.0)
    assert not holding.fail("failed", 1, "", NOW)


def _lost(tmp_path: Path) -> tuple[Holding, str]:
    """A holder whose lease was taken over while it slept; the other one has built the target."""
    store, output = LocalStore(), str(tmp_path)
    late = hold(store, output)
    commit(hold(store, output, "bob", stale=late.version), "bob")
    return late, output


def test_a_holder_that_lost_its_lease_cannot_commit(tmp_path: Path) -> None:
    late, output = _lost(tmp_path)
    with pytest.raises(StoppedError, match="was lost"):
        commit(late)
    assert (look(LocalStore(), output).status, built_by(output)) == ("SUCCESS", "bob")


def test_a_holder_that_lost_its_lease_names_who_has_it(tmp_path: Path) -> None:
    store, output = LocalStore(), str(tmp_path)
    late = hold(store, output)
    hold(store, output, "bob", stale=late.version)
    with pytest.raises(StoppedError) as caught:
        commit(late)
    assert dict(caught.value.facts) == {"holder now": "bob@far, run r-1, attempt 2"}


def test_a_holder_that_lost_its_lease_takes_no_number_of_the_new_one(tmp_path: Path) -> None:
    """Else the attempt that builds the target is called a success of somebody who lost it."""
    store, output = LocalStore(), str(tmp_path)
    late = hold(store, output)
    new = hold(store, output, "bob", stale=late.version)
    with pytest.raises(StoppedError):
        commit(late)
    assert _document(tmp_path, 1).result == "abandoned"
    assert not (tmp_path / ".logs/attempt-0002.json").exists()
    commit(new, "bob")
    assert (_document(tmp_path, 2).worker, new.lease.attempt) == ("bob@far", 2)


@pytest.mark.parametrize("result", ["failed", "interrupted"])
def test_the_failure_of_a_holder_that_lost_its_lease_does_not_undo_a_success(
    tmp_path: Path, result: Result
) -> None:
    """Else the target that somebody else has built, for thousands of dollars, is built again."""
    late, output = _lost(tmp_path)
    assert not late.fail(result, 1, "lost my machine", NOW)
    assert (look(LocalStore(), output).status, built_by(output)) == ("SUCCESS", "bob")


def test_the_failure_of_a_holder_that_lost_its_lease_does_not_end_the_new_holder(
    tmp_path: Path,
) -> None:
    store, output = LocalStore(), str(tmp_path)
    late = hold(store, output)
    new = hold(store, output, "bob", stale=late.version)
    assert not late.fail("failed", 1, "lost my machine", NOW)
    assert look(store, output).status == "RUNNING"
    commit(new, "bob")
    assert look(store, output).status == "SUCCESS"


def _unlocked(output: Path) -> Holding:
    """A holder whose lease somebody deleted by hand, and whose number another one used."""
    store = LocalStore()
    holding = hold(store, str(output))
    (output / LEASE).unlink()
    hold(store, str(output), "bob").fail("failed", 1, "bob's", NOW)
    return holding


def test_a_holder_whose_lease_was_deleted_by_hand_cannot_commit(tmp_path: Path) -> None:
    late = _unlocked(tmp_path)
    with pytest.raises(StoppedError) as caught:
        commit(late)
    assert dict(caught.value.facts) == {"holder now": "none"}
    assert _document(tmp_path, 1).message == "bob's"
    assert not late.fail("failed", 1, "", NOW)


@pytest.mark.parametrize("end", ["commit", "fail"])
def test_the_document_of_another_attempt_is_never_written_over(tmp_path: Path, end: str) -> None:
    """A number may have been used that no claimant could know of: ours becomes the next one."""
    holding = hold(LocalStore(), str(tmp_path))
    theirs = tmp_path / ".logs/attempt-0001.json"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    (tmp_path / ".logs/attempt-0003.json").write_text("theirs too")
    commit(holding) if end == "commit" else holding.fail("failed", 1, "", NOW)
    assert theirs.read_text() == "theirs"
    assert holding.lease.attempt == _document(tmp_path, 4).attempt == 4
    if end == "commit":
        assert Record.from_bytes((tmp_path / RECORD).read_bytes()).attempt == 4
        publish = _document(tmp_path, 4).publish
        assert publish is not None
        assert publish.record.attempt == 4


@pytest.mark.parametrize(("at", "how"), [(2, "lose"), (3, "refuse"), (4, "refuse")])
def test_a_commit_that_could_not_be_published_is_not_undone_by_calling_it_a_failure(
    tmp_path: Path, at: int, how: Fault
) -> None:
    """The seal stands, even if its own holder saw an error: whoever comes next publishes it."""
    store = Faulty()
    holding = hold(store, str(tmp_path))
    store.at, store.how = len(store.calls) + at, how
    with pytest.raises(MarinBuildError):
        commit(holding)
    assert is_sealed(tmp_path)
    store.dead = False
    assert not holding.fail("failed", 1, "the store was away", NOW)
    assert isinstance(take(LocalStore(), str(tmp_path), "bob"), Finished)
    assert built_by(tmp_path) == "ada"


@pytest.mark.parametrize(
    "odd", [{"file": "caf\udce9"}, {"attr": "\ud800"}], ids=["file", "attribute"]
)
def test_finished_work_is_not_lost_to_text_that_is_not_utf8(
    tmp_path: Path, odd: dict[str, str]
) -> None:
    """After days of training, one odd file name must not stop the commit."""
    holding = hold(LocalStore(), str(tmp_path))
    holding.commit(publication("ada", 1, **odd), NOW)
    assert look(LocalStore(), str(tmp_path)).status == "SUCCESS"


def _scenario(name: str, store: Store, output: str) -> str:
    """Run one life of a builder; return how it ended."""
    holding = hold(store, output)
    if name == "commit":
        commit(holding, artifact={"by": "ada"})
        return "committed"
    result: Any = "failed" if name == "fail" else "interrupted"
    return name if holding.fail(result, 1, "boom", NOW) else "lost"


def _lives(name: str, tmp_path: Path) -> int:
    store = Faulty()
    _scenario(name, store, str(tmp_path / "count"))
    return len(store.calls)


@pytest.mark.parametrize("how", ["refuse", "die", "lose"])
@pytest.mark.parametrize("name", ["commit", "fail", "interrupt"])
def test_a_builder_may_die_at_any_call_and_the_next_one_goes_on(
    tmp_path: Path, name: str, how: Literal["refuse", "die", "lose"]
) -> None:
    for at in range(1, _lives(name, tmp_path) + 1):
        output = tmp_path / str(at)
        with pytest.raises(MarinBuildError):
            _scenario(name, Faulty(at, how), str(output))
        check_invariants(output)
        built = is_sealed(output) or is_success(output)
        logs = output / ".logs"
        before = set(logs.glob("attempt-*.json")) if logs.exists() else set()

        plain = LocalStore()
        stale = look(plain, str(output)).lease_version
        got = take(plain, str(output), "bob", stale=stale)
        check_invariants(output)
        if built:
            assert isinstance(got, Finished), f"sealed work was taken over at call {at}"
            assert built_by(output) == "ada"
        else:
            assert isinstance(got, Holding), f"nobody can build it after call {at}"
            mine = logs / f"attempt-{got.lease.attempt:04}.json"
            assert mine not in before, "an attempt's number was used twice"
            assert look(plain, str(output)).lease == got.lease
            commit(got, "bob", {"by": "bob"})
            assert mine.exists()
            check_invariants(output)
            assert built_by(output) == "bob"
        assert (is_success(output), (output / LEASE).exists()) == (True, False)


@pytest.mark.parametrize("name", ["commit", "fail", "interrupt"])
def test_a_reply_that_is_lost_at_any_call_changes_nothing(tmp_path: Path, name: str) -> None:
    """A write that was done and says that it was not must be recognised as our own."""
    for at in range(1, _lives(name, tmp_path) + 1):
        output, store = tmp_path / str(at), Faulty(at, "forget")
        ended = _scenario(name, store, str(output))
        assert ended == ("committed" if name == "commit" else name), f"at call {at}"
        status = {"commit": "SUCCESS", "fail": "FAILED", "interrupt": "RUNNING"}[name]
        assert (output / STATUS).read_text() == status, f"at call {at}"
        assert not (output / LEASE).exists(), f"at call {at}"
        assert [path.name for path in (output / ".logs").iterdir()] == ["attempt-0001.json"]
        assert (output / RECORD).exists() == (name == "commit")
