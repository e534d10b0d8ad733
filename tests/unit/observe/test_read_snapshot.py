"""The reading of the store: few round trips, and nothing taken for built that is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import pytest

from marin_build import StepSpec
from marin_build.errors import StoppedError
from marin_build.observe.read_snapshot import observe
from marin_build.plan.block_reasons import Unreadable
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.look import Seen, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.snapshot import Observed
    from tests.unit.conftest import MemoryStore, TargetsOf

HOST = Host("me@here", "here")


def _seen(store: MemoryStore, targets: Targets) -> Observed:
    last = len(targets) - 1
    return observe(store, targets, [last], frozenset(), HOST).of(last)


def _record(fingerprint: str) -> bytes:
    return json.dumps({
        "executor_version": "marin_build/1", "fingerprint": fingerprint, "run": "r-1",
        "provenance": {"user": "ada", "host": "h"}, "end": "2026",
    }).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("what", "file", "data"),
    [
        ("status", ".executor_status", b"SUCCESSFUL"),
        ("lease", ".executor_status.lock", b"{"),
        (
            "lease",
            ".executor_status.lock",
            b'{"worker_id": "ada nonce=1 attempt=x", "timestamp": 1}',
        ),
    ],
)
def test_what_cannot_be_read_is_never_taken_for_built(
    targets_of: TargetsOf,
    new_store: Callable[[], MemoryStore],
    what: Literal["status", "lease"],
    file: str,
    data: bytes,
) -> None:
    """Else a half-written status is a success; and what it needs is not built for it either."""
    store, targets = new_store(), targets_of([(), (0,)])
    path = targets.all[1].output_path
    store.contents[f"{path}/.executor_status"] = b"RUNNING"
    store.contents[f"{path}/{file}"] = data
    snapshot = observe(store, targets, [1], frozenset(), HOST)
    assert list(snapshot.seen) == [1], "nothing is asked for on its behalf"
    assert snapshot.of(1).damage == Unreadable(what, f"{path}/{file}")
    assert not snapshot.of(1).is_built


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b"\xff\xfe", b'{"executor_version": "marin_build/1"}',
        b'{"executor_version": "marin_build/1", "fingerprint": "f", "provenance": 3}',
        (b'{"executor_version": "marin_build/9", "fingerprint": {"sha512": "f"}, "run": "r",'
        b' "end": "2030", "provenance": {"user": "ada", "host": "h"}}'),
    ],
)  # fmt: skip
def test_a_damaged_record_is_one_targets_matter(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore], data: bytes
) -> None:
    """Else the plan of a thousand targets is lost with one file."""
    store, targets = new_store(), targets_of([(), (), (0, 1)])
    for index, record in ((0, data), (1, _record(targets.all[1].fingerprint))):
        path = targets.all[index].output_path
        store.contents |= {f"{path}/.executor_status": b"SUCCESS", f"{path}/.executor_info": record}
    snapshot = observe(store, targets, [2], frozenset(), HOST)
    path = f"{targets.all[0].output_path}/.executor_info"
    assert snapshot.of(0).damage == Unreadable("record", path)
    assert (snapshot.of(1).damage, snapshot.of(1).built is not None) == (None, True)


def test_a_record_that_marin_wrote_is_accepted(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    store.contents |= {
        f"{path}/.executor_status": b'{"date": "x", "status": "RUNNING", "message": ""}\n'
        b'{"date": "y", "status": "SUCCESS", "message": ""}\n',
        f"{path}/.executor_info": b'{"name": "train", "version": {}}',
    }
    seen = _seen(store, targets)
    assert seen.is_built
    assert seen.built is None


def test_two_identities_of_one_hash_are_never_taken_for_each_other(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    """Else one is a hit for the other: eight digits can collide."""
    store, targets = new_store(), make(StepSpec(name="train"))
    path = targets.all[0].output_path
    store.contents |= {
        f"{path}/.executor_status": b"SUCCESS",
        f"{path}/.executor_info": _record("0" * 64),
    }
    with pytest.raises(StoppedError, match="holds another target") as caught:
        _seen(store, targets)
    assert dict(caught.value.facts) == {
        "recorded": "0" * 64,
        "declared": targets.all[0].fingerprint,
    }
    assert "rename the step" in (caught.value.hint or "")


def test_the_newest_attempt_of_a_failed_target_is_told(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    store.contents[f"{path}/.executor_status"] = b"FAILED"
    for number in (9, 10, 2):
        store.contents[f"{path}/.logs/attempt-{number:04}.json"] = json.dumps(
            {"attempt": number, "result": "failed", "run": "r", "exit_code": number,
             "message": None, "worker": "w", "end": None}
        ).encode()  # fmt: skip
    store.contents[f"{path}/.logs/attempt-0011.log"] = b"a log without its document"
    last = _seen(store, targets).last
    assert last is not None
    assert (last.attempt, last.exit_code) == (10, 10)


@pytest.mark.parametrize("data", [b"[]", b"", b"{", b'{"attempt": 10}'])
def test_a_failure_that_cannot_be_read_is_still_a_failure(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore], data: bytes
) -> None:
    """Else what failed can never be built again, for a file that only says how it failed."""
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    store.contents |= {
        f"{path}/.executor_status": b"FAILED",
        f"{path}/.logs/attempt-0010.json": data,
    }
    last = _seen(store, targets).last
    assert last is not None
    assert (last.attempt, last.exit_code) == (10, None)
    assert f"{path}/.logs/attempt-0010.json" in (last.message or "")


def test_a_wide_and_shallow_pipeline_is_read_in_a_few_batches(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    targets = targets_of([(), *[(0,)] * 200, tuple(range(1, 201))])
    store = new_store()
    _seen(store, targets)
    assert len(store.batches) <= 6


def test_records_are_left_unread_where_nobody_asks(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), targets_of([()])
    status = f"{targets.all[0].output_path}/.executor_status"
    store.contents[status] = b"SUCCESS"
    observe(store, targets, [0], frozenset(), HOST, records=False)
    assert store.read == {status}


def test_no_lease_is_read_where_nothing_says_that_anybody_came(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    """A first build of thousands of targets asks once for each, and on a disk for a note."""
    store, targets = new_store(), targets_of([(), (0,), (1,)])
    _seen(store, targets)
    names = (".executor_status", ".executor_info")
    assert store.read == {f"{it.output_path}/{name}" for it in targets.all for name in names}


@pytest.mark.parametrize("status", [b"RUNNING", b"FAILED", b"DEP_FAILED"])
def test_what_is_seen_is_what_a_claimant_may_build_on(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore], status: bytes
) -> None:
    """The versions make the writes of whoever builds it conditional on just this."""
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    lease = Lease("ada@far", 1.0, nonce="n")
    status_version = store.put(f"{path}/.executor_status", status)
    lease_version = store.put(f"{path}/.executor_status.lock", lease.encode())
    seen = _seen(store, targets)
    assert (seen.status, seen.status_version) == (status.decode(), status_version)
    assert (seen.lease, seen.lease_version) == (lease, lease_version)
    assert look(store, path) == Seen(seen.status, status_version, lease, lease_version)


def test_a_built_target_keeps_the_version_of_its_status(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    """Else a forced build looks again at what was just read."""
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    version = store.put(f"{path}/.executor_status", b"SUCCESS")
    store.put(f"{path}/.executor_info", _record(targets.all[0].fingerprint))
    seen = _seen(store, targets)
    assert (seen.status_version, seen.built is not None) == (version, True)


def test_no_path_is_read_twice(targets_of: TargetsOf, new_store: Callable[[], MemoryStore]) -> None:
    targets = targets_of([(), (0,), (0,), (1, 2), (3,), (3, 0), (4, 5)])
    store = new_store()
    observe(store, targets, [6, 3], {6, 5, 3}, HOST)
    paths = [path for batch in store.batches for path in batch]
    assert len(paths) == len(set(paths))


def test_what_was_adopted_is_seen_with_its_place_and_its_files(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    record = json.loads(_record(targets.all[0].fingerprint))
    record |= {"adopted_from": "gs://old", "files": 3, "bytes": 9, "seconds": 1.5, "attempt": 2}
    store.contents |= {
        f"{path}/.executor_status": b"SUCCESS",
        f"{path}/.executor_info": json.dumps(record).encode(),
    }
    built = _seen(store, targets).built
    assert built is not None
    assert (built.adopted_from, built.files, built.size) == ("gs://old", 3, 9)
    assert (built.seconds, built.attempt) == (1.5, 2)
