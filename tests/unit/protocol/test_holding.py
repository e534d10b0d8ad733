"""Taking a target, committing it, and dying at any instant in between.

No crash may lose finished work, publish half of it, or let two builders believe they hold one
target.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, Literal

import pytest

from marin_build.errors import CorruptStateError, MarinBuildError, StoppedError, StoreError
from marin_build.protocol.documents import Attempt, FileEntry, Provenance, Publication, Record
from marin_build.protocol.holding import Finished, Held, Holding, acquire, look, stamp
from marin_build.protocol.lease import Host, Lease, parse_lease
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from marin_build.store.base import Blob, Store

NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
HOST = Host("me@here", "here")


def _lease(who: str = "ada") -> Lease:
    return Lease(f"{who}@far", 1.0, run="r-1", nonce=f"nonce-{who}", boot="elsewhere", pid=9)


def _take(
    store: Store, output: str, who: str = "ada", *, force: bool = False, stale: str = ""
) -> Holding | Held | Finished:
    return acquire(store, output, target="train_1", lease=_lease(who), now=NOW, force=force,
                   is_abandoned=HOST.is_gone, stale_version=stale)  # fmt: skip


def _hold(store: Store, output: str, who: str = "ada", **rest: Any) -> Holding:
    got = _take(store, output, who, **rest)
    assert isinstance(got, Holding)
    return got


def _publication(
    who: str, attempt: int, artifact: Any = None, file: str = "model", attr: object = 1
) -> Publication:
    record = Record(
        name="train", target="train_1", fn=None, attributes={"a": attr}, fingerprint="f",
        deep_fingerprint="d", payload="{}", code_digest=None, deps=(),
        provenance=Provenance(user=who, host="h", argv=(), python="3", marin_build="0"),
        run="r-1", attempt=attempt, start="s", end="e", seconds=1.0, exit_code=0,
        peak_memory_bytes=None,
    )  # fmt: skip
    return Publication(
        record=record, has_artifact=artifact is not None, artifact=artifact,
        manifest=(FileEntry(path=file, size=1),),
    )  # fmt: skip


def _commit(holding: Holding, who: str = "ada", artifact: Any = None) -> None:
    holding.commit(_publication(who, holding.attempt.attempt, artifact), NOW)


class Watched(LocalStore):
    """A local store that counts calls, and fails or dies at one of them."""

    def __init__(self, at: int = 0, how: Literal["refuse", "die", "lose"] = "refuse") -> None:
        self.at, self.how = at, how
        self.calls: list[tuple[str, str]] = []
        self.dead = False

    @property
    def writes(self) -> list[str]:
        return [f"{verb} {name}" for verb, name in self.calls if verb not in {"get", "list"}]

    def _call(self, verb: str, path: str) -> None:
        self.calls.append((verb, path.rpartition("/")[2]))
        if self.dead or len(self.calls) == self.at:
            if self.how == "die":
                self.dead = True
            if self.how != "lose":
                raise StoreError(f"cannot {verb} `{path}`: injected")

    def _reply(self) -> None:
        if self.how == "lose" and len(self.calls) == self.at:
            self.dead, self.how = True, "die"
            raise StoreError("the reply was lost: injected")

    def get(self, path: str) -> Blob | None:
        self._call("get", path)
        return super().get(path)

    def get_many(self, paths: Sequence[str]) -> list[bytes | None]:
        self._call("get", paths[0])
        return super().get_many(paths)

    def put(self, path: str, data: bytes) -> str:
        self._call("put", path)
        version = super().put(path, data)
        self._reply()
        return version

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        self._call("create", path)
        with self._locked(path):
            version = None if LocalStore.get(self, path) else LocalStore.put(self, path, data)
        self._reply()
        return version

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        self._call("replace", path)
        with self._locked(path):
            found = LocalStore.get(self, path)
            same = found is not None and found.version == version
            new = LocalStore.put(self, path, data) if same else None
        self._reply()
        return new

    def delete_if(self, path: str, version: str) -> bool:
        self._call("delete", path)
        done = super().delete_if(path, version)
        self._reply()
        return done

    def list(self, folder: str) -> list[str]:
        self._call("list", folder)
        return super().list(folder)


STATUS, LEASE, RECORD = ".executor_status", ".executor_status.lock", ".executor_info"


def test_the_order_of_the_writes_is_the_promise(tmp_path: Path) -> None:
    store = Watched()
    _commit(_hold(store, str(tmp_path)), artifact={"loss": 1})
    assert store.writes == [
        f"create {LEASE}",
        "create attempt-0001.json",
        f"put {STATUS}",
        "put attempt-0001.json",
        f"replace {LEASE}",  # the seal: this one write commits
        f"put {RECORD}",
        "put .artifact.json",
        f"put {STATUS}",
        f"delete {LEASE}",
    ]
    assert (tmp_path / STATUS).read_text() == "SUCCESS"
    assert json.loads((tmp_path / ".artifact.json").read_text()) == {"loss": 1}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        [STATUS, RECORD, ".artifact.json", ".logs"]
    )


def test_a_held_target_is_held_and_a_built_one_is_finished(tmp_path: Path) -> None:
    store = LocalStore()
    holding = _hold(store, str(tmp_path))
    assert (tmp_path / STATUS).read_text() == "RUNNING"
    held = _take(store, str(tmp_path), "bob")
    assert isinstance(held, Held)
    assert (held.lease.nonce, held.version) == ("nonce-ada", holding.version)
    _commit(holding)
    assert _take(store, str(tmp_path), "bob") == Finished(published=False)


def test_a_failed_target_is_tried_again_under_a_new_number(tmp_path: Path) -> None:
    store = LocalStore()
    for number in (1, 2, 3):
        holding = _hold(store, str(tmp_path))
        assert holding.attempt.attempt == number
        holding.fail("failed", 7, "boom", NOW)
        assert (tmp_path / STATUS).read_text() == "FAILED"
        assert not (tmp_path / LEASE).exists()
    document = Attempt.model_validate_json((tmp_path / ".logs/attempt-0002.json").read_bytes())
    assert (document.result, document.exit_code, document.message) == ("failed", 7, "boom")
    assert document.end == stamp(NOW) == "2026-11-21T10:20:30.000+00:00"


def test_a_target_whose_status_was_deleted_by_hand_gets_the_next_number(tmp_path: Path) -> None:
    """Our own hint says to delete a damaged status file; the lease must name the new attempt."""
    store = LocalStore()
    _hold(store, str(tmp_path)).fail("failed", 1, "", NOW)
    (tmp_path / STATUS).unlink()
    again = _hold(store, str(tmp_path))
    assert again.attempt.attempt == 2
    assert look(store, str(tmp_path)).lease == again.lease


def test_an_interrupted_target_is_not_called_failed(tmp_path: Path) -> None:
    _hold(LocalStore(), str(tmp_path)).fail("interrupted", 130, "^C", NOW)
    assert (tmp_path / STATUS).read_text() == "RUNNING"
    assert not (tmp_path / LEASE).exists()


def test_force_builds_what_is_built_but_waits_for_who_builds_it(tmp_path: Path) -> None:
    store = LocalStore()
    _commit(_hold(store, str(tmp_path)))
    again = _hold(store, str(tmp_path), "bob", force=True)
    assert again.attempt.attempt == 2
    assert isinstance(_take(store, str(tmp_path), force=True), Held)


def test_a_lease_is_stale_only_in_the_version_that_was_watched(tmp_path: Path) -> None:
    store = LocalStore()
    holding = _hold(store, str(tmp_path))
    renewed = store.replace_if(
        f"{tmp_path}/{LEASE}", holding.lease.renewed(2.0).encode(), holding.version
    )
    assert renewed is not None
    assert isinstance(_take(store, str(tmp_path), "bob", stale=holding.version), Held)
    assert isinstance(_take(store, str(tmp_path), "bob", stale=renewed), Holding)


def test_the_holder_may_commit_and_fail_after_its_keeper_renewed_the_lease(tmp_path: Path) -> None:
    store = LocalStore()
    for end in ("commit", "fail"):
        output = str(tmp_path / end)
        holding = _hold(store, output)
        store.replace_if(f"{output}/{LEASE}", holding.lease.renewed(9.0).encode(), holding.version)
        _commit(holding) if end == "commit" else holding.fail("failed", 1, "", NOW)
        seen = look(store, output)
        assert (seen.status, seen.lease) == ("SUCCESS" if end == "commit" else "FAILED", None)


def _lost(tmp_path: Path) -> tuple[Holding, str]:
    """A holder whose lease was taken over while it slept; the other one has built the target."""
    store, output = LocalStore(), str(tmp_path)
    late = _hold(store, output)
    _commit(_hold(store, output, "bob", stale=late.version), "bob")
    return late, output


def _built_by(output: str) -> str:
    blob = LocalStore().get(f"{output}/{RECORD}")
    assert blob is not None
    return Record.model_validate_json(blob.data).provenance.user


def test_a_holder_that_lost_its_lease_cannot_commit(tmp_path: Path) -> None:
    late, output = _lost(tmp_path)
    with pytest.raises(StoppedError, match="was lost"):
        _commit(late)
    assert (look(LocalStore(), output).status, _built_by(output)) == ("SUCCESS", "bob")


def test_a_holder_that_lost_its_lease_names_who_has_it(tmp_path: Path) -> None:
    store, output = LocalStore(), str(tmp_path)
    late = _hold(store, output)
    _hold(store, output, "bob", stale=late.version)
    with pytest.raises(StoppedError) as caught:
        _commit(late)
    assert dict(caught.value.facts) == {"holder now": "bob@far, run r-1, attempt 2"}


@pytest.mark.parametrize("result", ["failed", "interrupted"])
def test_the_failure_of_a_holder_that_lost_its_lease_does_not_undo_a_success(
    tmp_path: Path, result: Literal["failed", "interrupted"]
) -> None:
    """Else the target that somebody else has built, for thousands of dollars, is built again."""
    late, output = _lost(tmp_path)
    late.fail(result, 1, "lost my machine", NOW)
    assert (look(LocalStore(), output).status, _built_by(output)) == ("SUCCESS", "bob")


def test_the_failure_of_a_holder_that_lost_its_lease_does_not_end_the_new_holder(
    tmp_path: Path,
) -> None:
    store, output = LocalStore(), str(tmp_path)
    late = _hold(store, output)
    new = _hold(store, output, "bob", stale=late.version)
    late.fail("failed", 1, "lost my machine", NOW)
    assert look(store, output).status == "RUNNING"
    _commit(new, "bob")
    assert look(store, output).status == "SUCCESS"


def _die_sealed(output: Path, artifact: Any = None) -> None:
    """Leave a target that is committed, and of which nothing is published."""
    store = Watched()
    holding = _hold(store, str(output))
    store.at, store.how = len(store.calls) + 3, "die"  # attempt, seal, and then
    with pytest.raises(StoreError):
        _commit(holding, artifact=artifact)
    assert _is_sealed(output)
    assert not (output / RECORD).exists()


def test_a_seal_that_was_tampered_with_is_an_error_not_a_rerun(tmp_path: Path) -> None:
    output = str(tmp_path)
    _die_sealed(tmp_path)
    (tmp_path / ".logs/attempt-0001.json").write_text("{}")
    with pytest.raises(CorruptStateError, match="missing or was changed"):
        _take(LocalStore(), output, "bob")


@pytest.mark.parametrize(("at", "how"), [(2, "lose"), (3, "refuse"), (4, "refuse")])
def test_a_commit_that_could_not_be_published_is_not_undone_by_calling_it_a_failure(
    tmp_path: Path, at: int, how: Literal["refuse", "lose"]
) -> None:
    """The seal stands, even if its own holder saw an error: whoever comes next publishes it."""
    store = Watched()
    holding = _hold(store, str(tmp_path))
    store.at, store.how = len(store.calls) + at, how
    with pytest.raises(StoreError):
        _commit(holding)
    assert _is_sealed(tmp_path)
    store.dead = False
    with suppress(MarinBuildError):
        holding.fail("failed", 1, "the store was away", NOW)
    assert isinstance(_take(LocalStore(), str(tmp_path), "bob"), Finished)
    assert _built_by(str(tmp_path)) == "ada"


@pytest.mark.parametrize("value", [{"loss": 0.5}, {"loss": math.nan}, [math.inf, -math.inf, "é"]])
def test_whoever_finishes_the_publishing_publishes_the_same_artifact(
    tmp_path: Path, value: Any
) -> None:
    _commit(_hold(LocalStore(), str(tmp_path / "by itself")), artifact=value)
    _die_sealed(tmp_path / "by another", value)
    assert _take(LocalStore(), str(tmp_path / "by another"), "bob") == Finished(published=True)
    own, other = (tmp_path / who / ".artifact.json" for who in ("by itself", "by another"))
    assert own.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "odd", [{"file": "caf\udce9"}, {"attr": "\ud800"}], ids=["file", "attribute"]
)
def test_finished_work_is_not_lost_to_text_that_is_not_utf8(
    tmp_path: Path, odd: dict[str, str]
) -> None:
    """After days of training, one odd file name must not stop the commit."""
    holding = _hold(LocalStore(), str(tmp_path))
    holding.commit(_publication("ada", 1, **odd), NOW)
    assert look(LocalStore(), str(tmp_path)).status == "SUCCESS"


def _scenario(name: str, store: Store, output: str) -> str:
    """Run one life of a builder; return how it ended."""
    holding = _hold(store, output)
    if name == "commit":
        _commit(holding, artifact={"by": "ada"})
        return "committed"
    result: Any = "failed" if name == "fail" else "interrupted"
    holding.fail(result, 1, "boom", NOW)
    return name


def _lives(name: str, tmp_path: Path) -> int:
    store = Watched()
    _scenario(name, store, str(tmp_path / "count"))
    return len(store.calls)


def _check_invariants(output: Path) -> None:
    """At no instant is there a SUCCESS without its record and artifact."""
    status, record = output / STATUS, output / RECORD
    if status.exists() and status.read_text() == "SUCCESS":
        Record.model_validate_json(record.read_bytes())
        assert json.loads((output / ".artifact.json").read_text())["by"]


def _is_sealed(output: Path) -> bool:
    lease = output / LEASE
    return lease.exists() and parse_lease(lease.read_bytes(), str(lease)).is_sealed


@pytest.mark.parametrize("how", ["refuse", "die", "lose"])
@pytest.mark.parametrize("name", ["commit", "fail", "interrupt"])
def test_a_builder_may_die_at_any_call_and_the_next_one_goes_on(
    tmp_path: Path, name: str, how: Literal["refuse", "die", "lose"]
) -> None:
    for at in range(1, _lives(name, tmp_path) + 1):
        output = tmp_path / str(at)
        store = Watched(at, how)
        try:
            ended = _scenario(name, store, str(output))
        except MarinBuildError:
            ended = "died"
        _check_invariants(output)
        status = output / STATUS
        built = _is_sealed(output) or (status.exists() and status.read_text() == "SUCCESS")
        assert built or ended != "committed"
        logs = output / ".logs"
        before = set(logs.glob("attempt-*.json")) if logs.exists() else set()

        plain = LocalStore()
        stale = look(plain, str(output)).lease_version
        got = _take(plain, str(output), "bob", stale=stale)
        _check_invariants(output)
        if built:
            assert isinstance(got, Finished), f"sealed work was taken over at call {at}"
            assert _built_by(str(output)) == "ada"
        else:
            assert isinstance(got, Holding), f"nobody can build it after call {at}"
            mine = logs / f"attempt-{got.attempt.attempt:04}.json"
            assert mine.exists()
            assert mine not in before, "an attempt's number was used twice"
            on_disk = look(plain, str(output)).lease
            assert on_disk == got.lease, f"the lease names another attempt at call {at}"
            _commit(got, "bob", {"by": "bob"})
            _check_invariants(output)
            assert _built_by(str(output)) == "bob"
        assert look(plain, str(output)) == look(plain, str(output))
        assert (look(plain, str(output)).status, (output / LEASE).exists()) == ("SUCCESS", False)


@pytest.mark.parametrize("how", ["die", "lose"])
def test_whoever_finishes_a_publishing_may_die_too(
    tmp_path: Path, how: Literal["die", "lose"]
) -> None:
    for at in range(1, 12):
        output = tmp_path / str(at)
        _die_sealed(output, {"by": "ada"})
        with suppress(StoreError):
            _take(Watched(at, how), str(output), "bob")
        _check_invariants(output)
        assert isinstance(_take(LocalStore(), str(output), "eve"), Finished)
        assert (look(LocalStore(), str(output)).status, _built_by(str(output))) == (
            "SUCCESS",
            "ada",
        )
        assert not (output / LEASE).exists()


def test_a_lease_left_by_a_builder_that_died_after_success_does_not_stop_a_forced_build(
    tmp_path: Path,
) -> None:
    store, output = Watched(), str(tmp_path)
    holding = _hold(store, output)
    store.at, store.how = len(store.calls) + 5, "die"  # between SUCCESS and the end of the lease
    with pytest.raises(StoreError):
        _commit(holding)
    assert (tmp_path / STATUS).read_text() == "SUCCESS"
    assert _is_sealed(tmp_path)
    assert isinstance(_take(LocalStore(), output, "bob", force=True), Holding)


class Overtaken(LocalStore):
    """A store in which somebody else builds the target just before our lease is created."""

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        if path.endswith(LEASE):
            output = path.rpartition("/")[0]
            _commit(_hold(LocalStore(), output, "bob"), "bob")
        return super().put_if_absent(path, data)


def test_what_somebody_built_between_our_look_and_our_lease_is_not_built_again(
    tmp_path: Path,
) -> None:
    assert _take(Overtaken(), str(tmp_path)) == Finished(published=False)
    assert _built_by(str(tmp_path)) == "bob"
    assert look(LocalStore(), str(tmp_path)).lease is None


def test_two_that_want_one_target_at_the_same_time_do_not_both_get_it(tmp_path: Path) -> None:
    rounds = 200
    barrier = Barrier(2)
    got: list[list[object]] = [[], []]

    def race(me: int) -> None:
        store = LocalStore()
        for number in range(rounds):
            barrier.wait()
            got[me].append(_take(store, str(tmp_path / str(number)), f"racer{me}"))

    threads = [Thread(target=race, args=(me,)) for me in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = [Counter(type(one) for one in pair) for pair in zip(*got, strict=True)]
    assert pairs == [Counter({Holding: 1, Held: 1})] * rounds


def test_two_that_take_over_one_stale_lease_do_not_both_get_it(tmp_path: Path) -> None:
    rounds = 100
    barrier = Barrier(2)
    got: list[list[object]] = [[], []]
    stale = [_hold(LocalStore(), str(tmp_path / str(i))).version for i in range(rounds)]

    def race(me: int) -> None:
        for number in range(rounds):
            barrier.wait()
            got[me].append(
                _take(LocalStore(), str(tmp_path / str(number)), f"r{me}", stale=stale[number])
            )

    threads = [Thread(target=race, args=(me,)) for me in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pairs = [Counter(type(one) for one in pair) for pair in zip(*got, strict=True)]
    assert pairs == [Counter({Holding: 1, Held: 1})] * rounds


def test_a_dead_holder_on_this_host_is_replaced_at_once(tmp_path: Path) -> None:
    dead = replace(_lease(), boot=HOST.boot, pid=2**22 + 1)
    first = acquire(
        LocalStore(), str(tmp_path), target="t", lease=dead, is_abandoned=HOST.is_gone, now=NOW
    )
    assert isinstance(first, Holding)
    assert isinstance(_take(LocalStore(), str(tmp_path), "bob"), Holding)
