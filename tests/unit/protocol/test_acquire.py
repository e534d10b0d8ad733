"""Taking a target: two never both hold it, and no look is so old that it lies."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from dataclasses import replace
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, Literal

import pytest

from marin_build.errors import MarinBuildError, StoppedError
from marin_build.protocol.claim_outcomes import Finished, Held
from marin_build.protocol.documents import Attempt
from marin_build.protocol.held_target import Holding
from marin_build.protocol.layout import RECORD
from marin_build.protocol.look import Seen, look
from marin_build.store.local import LocalStore

from .support import (
    HOST,
    LEASE,
    NOW,
    STATUS,
    Clock,
    Faulty,
    built_by,
    check_invariants,
    claimant,
    commit,
    hold,
    is_sealed,
    is_success,
    lease_of,
    publication,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _document(output: Path, number: int) -> Attempt:
    return Attempt.from_bytes((output / f".logs/attempt-{number:04}.json").read_bytes())


def _numbers(output: Path) -> list[int]:
    return [int(path.stem[-4:]) for path in sorted((output / ".logs").glob("*.json"))]


def test_a_target_that_was_seen_free_is_taken_with_two_requests(tmp_path: Path) -> None:
    """Every request more is paid for by every target of every run."""
    store = Faulty()
    hold(store, str(tmp_path), seen=Seen())
    assert store.writes == [f"create {LEASE}", f"create {STATUS}"]
    assert store.reads == [f"get {RECORD}", "list .logs"], "a remote store is not asked"


def test_nothing_is_listed_remotely_where_nothing_was_ever_built(tmp_path: Path) -> None:
    store = Faulty()
    store.is_local = False
    hold(store, str(tmp_path), seen=Seen())
    assert store.calls == [("create", LEASE), ("create", STATUS)]


def test_a_failed_target_that_was_seen_is_taken_with_two_requests(tmp_path: Path) -> None:
    store, output = Faulty(), str(tmp_path)
    hold(store, output).fail("failed", 1, "", NOW)
    seen = replace(look(store, output), attempt=1)
    store.calls.clear()
    assert hold(store, output, seen=seen).lease.attempt == 2
    assert store.calls == [("create", LEASE), ("replace", STATUS)]


def test_a_held_target_is_held_and_a_built_one_is_finished(tmp_path: Path) -> None:
    store = LocalStore()
    holding = hold(store, str(tmp_path))
    assert (tmp_path / STATUS).read_text() == "RUNNING"
    held = take(store, str(tmp_path), "bob")
    assert isinstance(held, Held)
    assert (held.lease.nonce, held.version) == ("nonce-ada", holding.version)
    commit(holding)
    assert take(store, str(tmp_path), "bob") == Finished(published=False)


def test_what_is_held_is_what_lies_in_the_store(tmp_path: Path) -> None:
    store, output, clock = LocalStore(), str(tmp_path), Clock(7.0)
    holding = hold(store, output, clock=clock)
    seen = look(store, output)
    assert (holding.lease, holding.version) == (seen.lease, seen.lease_version)
    assert holding.status_version == seen.status_version
    assert (holding.held_since, holding.began) == (7.0, NOW)


def test_a_failed_target_is_tried_again_under_a_new_number(tmp_path: Path) -> None:
    store = LocalStore()
    for number in (1, 2, 3):
        holding = hold(store, str(tmp_path))
        assert holding.lease.attempt == number
        holding.fail("failed", 7, "boom", NOW)
        assert (tmp_path / STATUS).read_text() == "FAILED"
        assert not (tmp_path / LEASE).exists()
    document = _document(tmp_path, 2)
    assert (document.result, document.exit_code, document.message) == ("failed", 7, "boom")


def test_a_target_whose_status_was_deleted_by_hand_gets_the_next_number(tmp_path: Path) -> None:
    """Our own hint says to delete a damaged status file; the lease must name the new attempt."""
    store = LocalStore()
    hold(store, str(tmp_path)).fail("failed", 1, "", NOW)
    (tmp_path / STATUS).unlink()
    again = hold(store, str(tmp_path))
    assert again.lease.attempt == 2
    assert look(store, str(tmp_path)).lease == again.lease


def test_force_builds_what_is_built_but_waits_for_who_builds_it(tmp_path: Path) -> None:
    store = LocalStore()
    commit(hold(store, str(tmp_path)))
    again = hold(store, str(tmp_path), "bob", force=True)
    assert again.lease.attempt == 2
    assert isinstance(take(store, str(tmp_path), force=True), Held)


def test_a_lease_is_stale_only_in_the_version_that_was_watched(tmp_path: Path) -> None:
    store = LocalStore()
    holding, watched = hold(store, str(tmp_path)), ""
    watched = holding.version
    assert holding.renew(0.0, 2.0)
    assert isinstance(take(store, str(tmp_path), "bob", stale=watched), Held)
    assert isinstance(take(store, str(tmp_path), "bob", stale=holding.version), Holding)


def test_a_renewal_that_writes_the_same_bytes_is_a_sign_of_life(tmp_path: Path) -> None:
    """A holder whose clock stands still lives all the same."""
    store = LocalStore()
    holding = hold(store, str(tmp_path))
    watched = holding.version
    assert holding.renew(0.0, holding.lease.timestamp)
    assert isinstance(take(store, str(tmp_path), "bob", stale=watched), Held)


def test_a_dead_holder_on_this_host_is_replaced_at_once(tmp_path: Path) -> None:
    dead = replace(lease_of(), boot=HOST.boot, pid=2**22 + 1)
    hold(LocalStore(), str(tmp_path), lease=dead)
    assert isinstance(take(LocalStore(), str(tmp_path), "bob"), Holding)


def test_an_attempt_whose_holder_died_has_a_document_that_says_so(tmp_path: Path) -> None:
    """Else the numbers have holes, and nobody knows what became of the night's run."""
    store = LocalStore()
    dead = hold(store, str(tmp_path))
    again = hold(store, str(tmp_path), "bob", stale=dead.version)
    assert again.lease.attempt == 2
    document = _document(tmp_path, 1)
    assert (document.result, document.worker, document.run) == ("abandoned", "ada@far", "r-1")
    assert document.exit_code is None
    assert document.message == "its holder died; taken over by bob@far"
    commit(again, "bob")
    assert (_document(tmp_path, 2).result, _numbers(tmp_path)) == ("succeeded", [1, 2])


def test_a_lock_of_marin_is_taken_over_without_a_document(tmp_path: Path) -> None:
    (tmp_path / LEASE).write_text('{"worker_id": "host-3-17", "timestamp": 1.0}')
    version = look(LocalStore(), str(tmp_path)).lease_version
    assert hold(LocalStore(), str(tmp_path), stale=version).lease.attempt == 1
    assert not (tmp_path / ".logs").exists()


# Old news. `seen` is what a look showed once; since then the world went on.


def _fresh(output: str) -> None:
    """Nothing was built."""


def _failed(output: str) -> None:
    hold(LocalStore(), output).fail("failed", 1, "", NOW)


def _interrupted(output: str) -> None:
    hold(LocalStore(), output).fail("interrupted", 130, "", NOW)


def _running(output: str) -> None:
    hold(LocalStore(), output)


def _built(output: str) -> None:
    commit(hold(LocalStore(), output), artifact={"by": "ada"})


def _rebuilt(output: str) -> None:
    _built(output)
    commit(hold(LocalStore(), output, "eve", force=True), "eve", {"by": "eve"})


def _failed_rebuild(output: str) -> None:
    _built(output)
    hold(LocalStore(), output, "eve", force=True).fail("failed", 1, "", NOW)


def _sealed(output: str) -> None:
    store = Faulty()
    holding = hold(store, output)
    store.at, store.how = len(store.calls) + 3, "die"  # attempt, seal, and then
    with pytest.raises(MarinBuildError):
        commit(holding, artifact={"by": "ada"})


WORLDS = [_fresh, _failed, _interrupted, _running, _built, _rebuilt, _failed_rebuild, _sealed]


def _copy_into(output: Path, world: Callable[[str], None]) -> None:
    """Bring an output into a state, whatever it was in before; attempts are never deleted."""
    for name in (STATUS, LEASE, ".executor_info", ".artifact.json"):
        (output / name).unlink(missing_ok=True)
    world(str(output))


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(("before", "now"), list(itertools.product(WORLDS, WORLDS)))
def test_old_news_costs_a_look_and_never_a_wrong_decision(
    tmp_path: Path, before: Callable[[str], None], now: Callable[[str], None], force: bool
) -> None:
    """The applier acts on a snapshot that may be hours old when a step's turn comes."""
    output = tmp_path / "stale"
    output.mkdir()
    before(str(output))
    seen = look(LocalStore(), str(output))
    attempts = _numbers(output)
    seen = replace(seen, attempt=max(attempts, default=0) if seen.status == "FAILED" else None)
    _copy_into(output, now)
    taken_before = _numbers(output)

    got = take(LocalStore(), str(output), "bob", seen=seen, force=force)
    if isinstance(got, Held):  # at worst it was held when it was seen; the applier looks again
        assert _running in (now, before)
        if now is not _running:
            got = take(LocalStore(), str(output), "bob", force=force)
    if now is _running:
        assert isinstance(got, Held)
        return
    built = now in (_built, _rebuilt, _sealed)
    if built and not (force and now is not _sealed):
        assert got == Finished(published=now is _sealed)
        assert built_by(output) == ("eve" if now is _rebuilt else "ada")
        assert not (output / LEASE).exists()
        return
    assert isinstance(got, Holding)
    assert (output / STATUS).read_text() == "RUNNING"
    assert look(LocalStore(), str(output)).lease == got.lease
    assert got.lease.attempt > max(taken_before, default=0), "its log would go into another's"
    commit(got, "bob", {"by": "bob"})
    assert (built_by(output), look(LocalStore(), str(output)).status) == ("bob", "SUCCESS")
    check_invariants(output)


def test_a_seal_that_was_seen_is_not_published_over_what_came_after(tmp_path: Path) -> None:
    _sealed(str(tmp_path))
    seen = look(LocalStore(), str(tmp_path))
    assert take(LocalStore(), str(tmp_path), "eve") == Finished(published=True)
    commit(hold(LocalStore(), str(tmp_path), "eve", force=True), "eve", {"by": "eve"})
    assert take(LocalStore(), str(tmp_path), "bob", seen=seen) == Finished(published=False)
    assert built_by(tmp_path) == "eve"


def test_a_deleted_output_is_built_although_its_seal_was_seen(tmp_path: Path) -> None:
    output = tmp_path / "a"
    _sealed(str(output))
    seen = look(LocalStore(), str(output))
    shutil.rmtree(output)
    assert isinstance(take(LocalStore(), str(output), "bob", seen=seen), Holding)


class Overtaken(LocalStore):
    """A store in which somebody else does something just before our lease is created."""

    def __init__(self, what: Callable[[str], None]) -> None:
        super().__init__()
        self._what = what
        self._done = False

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        if path.endswith(LEASE) and not self._done:
            self._done = True
            self._what(path.rpartition("/")[0])
        return super().put_if_absent(path, data)


def test_what_somebody_built_between_our_look_and_our_lease_is_not_built_again(
    tmp_path: Path,
) -> None:
    assert take(Overtaken(_built), str(tmp_path), "bob") == Finished(published=False)
    assert built_by(tmp_path) == "ada"
    assert look(LocalStore(), str(tmp_path)).lease is None


@pytest.mark.parametrize("what", [_failed, _interrupted])
def test_who_tried_between_our_look_and_our_lease_has_his_number(
    tmp_path: Path, what: Callable[[str], None]
) -> None:
    got = take(Overtaken(what), str(tmp_path), "bob")
    assert isinstance(got, Holding)
    assert got.lease.attempt == 2
    assert look(LocalStore(), str(tmp_path)).lease == got.lease


Wish = Literal["fresh", "again", "take over", "publish", "force"]
WISHES: list[Wish] = ["fresh", "again", "take over", "publish", "force"]


def _wish(wish: Wish, output: str) -> dict[str, Any]:
    """Bring an output into a state; return how to ask for it."""
    match wish:
        case "again":
            _failed(output)
        case "take over":
            return {"stale": hold(LocalStore(), output, "eve").version}
        case "publish":
            _sealed(output)
        case "force":
            _built(output)
            return {"force": True}
        case "fresh":
            pass
    return {}


def _calls(wish: Wish, output: str) -> int:
    store = Faulty()
    take(store, output, "bob", **_wish(wish, output))
    return len(store.calls)


@pytest.mark.parametrize("wish", WISHES)
def test_a_reply_that_is_lost_at_any_call_changes_nothing(tmp_path: Path, wish: Wish) -> None:
    for at in range(1, _calls(wish, str(tmp_path / "count")) + 1):
        output = tmp_path / str(at)
        asked = _wish(wish, str(output))
        before = _numbers(output)
        got = take(Faulty(at, "forget"), str(output), "bob", **asked)
        if wish == "publish":
            assert isinstance(got, Finished)
            assert (built_by(output), is_success(output)) == ("ada", True)
            assert not (output / LEASE).exists()
            continue
        assert isinstance(got, Holding), f"at call {at}"
        seen = look(LocalStore(), str(output))
        assert (seen.lease, seen.status) == (got.lease, "RUNNING")
        assert (seen.lease_version, seen.status_version) == (got.version, got.status_version)
        assert got.lease.attempt == max(before, default=1 if wish == "take over" else 0) + 1
        commit(got, "bob", {"by": "bob"})
        assert built_by(output) == "bob"


@pytest.mark.parametrize("how", ["refuse", "die", "lose"])
@pytest.mark.parametrize("wish", WISHES)
def test_a_claimant_may_die_at_any_call_and_the_next_one_goes_on(
    tmp_path: Path, wish: Wish, how: Literal["refuse", "die", "lose"]
) -> None:
    for at in range(1, _calls(wish, str(tmp_path / "count")) + 1):
        output = tmp_path / str(at)
        asked = _wish(wish, str(output))
        with pytest.raises(MarinBuildError):
            take(Faulty(at, how), str(output), "bob", **asked)
        check_invariants(output)
        left = look(LocalStore(), str(output))
        got = take(LocalStore(), str(output), "zoe", stale=left.lease_version,
                   force=wish == "force")  # fmt: skip
        if wish == "publish":
            assert isinstance(got, Finished)
            assert built_by(output) == "ada"
        else:
            assert isinstance(got, Holding), f"nobody can build it after call {at}"
            assert got.lease.attempt > max(_numbers(output), default=0)
            commit(got, "zoe", {"by": "zoe"})
            assert built_by(output) == "zoe"
        assert is_success(output)
        assert not (output / LEASE).exists()


# Sleepers. A claimant stands still at one of its calls for longer than a lease may live, before
# or after the call's effect; meanwhile another one takes the target, and builds it or is at it.


class Other:
    """Who comes along while the sleeper sleeps, and has watched long enough."""

    def __init__(self, output: str, clock: Clock, ends: bool) -> None:
        self.output, self.clock, self.ends = output, clock, ends
        self.holding: Holding | None = None

    def __call__(self) -> None:
        self.clock.now += 1000.0
        store = LocalStore()
        stale = look(store, self.output).lease_version
        got = take(store, self.output, "bob", stale=stale, clock=self.clock)
        self.holding = got if isinstance(got, Holding) else None
        if self.holding is not None and self.ends:
            commit(self.holding, "bob", {"by": "bob"})


def _sleeps(life: Callable[[Faulty, str, Clock], object], output: str) -> int:
    store = Faulty()
    life(store, output, Clock())
    return len(store.calls)


def _claims_and_commits(store: Faulty, output: str, clock: Clock) -> str:
    """One life of a builder, as `run-step` leads it; return what it believes it did."""
    got = claimant(store, output, clock=clock).acquire()
    if not isinstance(got, Holding):
        return "left it"
    fresh = clock.now - got.held_since < 5.0
    if not fresh and not got.renew(clock.now, 5.0):
        return "left it"
    store.body_ran_after = len(store.calls)
    try:
        got.commit(publication("ada", got.lease.attempt, {"by": "ada"}), NOW)
    except StoppedError:
        return "lost it"
    return "built it"


def _claims_and_fails(store: Faulty, output: str, clock: Clock) -> str:
    got = claimant(store, output, clock=clock).acquire()
    if not isinstance(got, Holding):
        return "left it"
    store.body_ran_after = len(store.calls)
    return "failed" if got.fail("failed", 1, "boom", NOW) else "lost it"


@pytest.mark.parametrize("ends", [True, False], ids=["other has built it", "other is at it"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_sleeps_at_any_call_neither_runs_nor_commits_beside_who_took_over(
    tmp_path: Path, when: str, ends: bool
) -> None:
    asleep = set()
    for at in range(1, _sleeps(_claims_and_commits, str(tmp_path / "count")) + 1):
        output, clock = tmp_path / f"{at}", Clock()
        other = Other(str(output), clock, ends)
        store = Faulty(at)
        setattr(store, when, other)
        did = _claims_and_commits(store, str(output), clock)
        asleep.add(did)
        check_invariants(output)
        if other.holding is None:  # what was sealed before the sleep is committed
            assert did == "built it"
            assert built_by(output) == "ada"
            continue
        assert did in {"left it", "lost it"}, f"two built it: slept at call {at}"
        ran_after = store.body_ran_after
        assert ran_after is None or ran_after < at, f"two bodies ran: slept at call {at}"
        if not ends:
            assert look(LocalStore(), str(output)).lease == other.holding.lease
            commit(other.holding, "bob", {"by": "bob"})
        assert (built_by(output), is_success(output)) == ("bob", True)
        assert not (output / LEASE).exists()
    assert asleep == {"left it", "lost it", "built it"}


@pytest.mark.parametrize("ends", [True, False], ids=["other has built it", "other is at it"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_sleeps_while_he_fails_does_not_undo_who_took_over(
    tmp_path: Path, when: str, ends: bool
) -> None:
    for at in range(1, _sleeps(_claims_and_fails, str(tmp_path / "count")) + 1):
        output, clock = tmp_path / f"{at}", Clock()
        other = Other(str(output), clock, ends)
        store = Faulty(at)
        setattr(store, when, other)
        _claims_and_fails(store, str(output), clock)
        assert other.holding is not None
        if not ends:
            assert (output / STATUS).read_text() == "RUNNING", f"slept at call {at}"
            assert look(LocalStore(), str(output)).lease == other.holding.lease
            commit(other.holding, "bob", {"by": "bob"})
        assert (built_by(output), is_success(output)) == ("bob", True), f"slept at call {at}"


def test_a_sleeper_whose_reply_was_lost_too_holds_from_when_he_woke(tmp_path: Path) -> None:
    """He finds his own lease, of whose age he knows nothing: it must hold from now on."""
    clock, store, output = Clock(), Faulty(), str(tmp_path)
    store.at, store.how = 5, "forget"  # look, look, the record, list, and the lease

    def sleep() -> None:
        clock.now += 1000.0

    store.after = sleep
    got = hold(store, output, clock=clock)
    assert (got.held_since, store.calls[4]) == (2000.0, ("create", LEASE))
    assert look(LocalStore(), output).lease_version == got.version
    # Who watched the lease as it was before is told that it changed.
    assert [call for call in store.calls if call[1] == LEASE].count(("replace", LEASE)) == 1


def _race(
    tmp_path: Path, rounds: int, ask: Callable[[int, int], object]
) -> list[Counter[type[object]]]:
    barrier = Barrier(2)
    got: list[list[object]] = [[], []]

    def run(me: int) -> None:
        for number in range(rounds):
            barrier.wait()
            got[me].append(ask(me, number))

    threads = [Thread(target=run, args=(me,)) for me in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [Counter(type(one) for one in pair) for pair in zip(*got, strict=True)]


@pytest.mark.parametrize("news", ["fresh", "old"])
def test_two_that_want_one_target_at_the_same_time_do_not_both_get_it(
    tmp_path: Path, news: str
) -> None:
    seen = Seen() if news == "old" else None
    pairs = _race(tmp_path, 200, lambda me, number: take(
        LocalStore(), str(tmp_path / str(number)), f"racer{me}", seen=seen))  # fmt: skip
    assert pairs == [Counter({Holding: 1, Held: 1})] * 200


def test_two_that_take_over_one_stale_lease_do_not_both_get_it(tmp_path: Path) -> None:
    stale = [hold(LocalStore(), str(tmp_path / str(i))).version for i in range(100)]
    pairs = _race(tmp_path, 100, lambda me, number: take(
        LocalStore(), str(tmp_path / str(number)), f"r{me}", stale=stale[number]))  # fmt: skip
    assert pairs == [Counter({Holding: 1, Held: 1})] * 100


def test_a_seal_is_never_taken_over_even_if_it_was_watched_for_ever(tmp_path: Path) -> None:
    _sealed(str(tmp_path))
    assert is_sealed(tmp_path)
    version = look(LocalStore(), str(tmp_path)).lease_version
    got = take(LocalStore(), str(tmp_path), "bob", stale=version, force=True)
    assert got == Finished(published=True)
    assert built_by(tmp_path) == "ada"
