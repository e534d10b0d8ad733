"""The reading of the store: few round trips, and nothing taken for built that is not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.errors import CorruptStateError, StoppedError
from marin_build.observe import observe
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.looking import Seen, look

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.fingerprint import Targets
    from marin_build.snapshot import Observed
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
    ("file", "data"),
    [
        (".executor_status", b"SUCCESSFUL"),
        (".executor_status", b""),
        (".executor_status.lock", b"{"),
        (".executor_status.lock", b'{"worker_id": "ada nonce=1 attempt=x", "timestamp": 1}'),
    ],
)
def test_what_cannot_be_read_is_never_taken_for_built(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore], file: str, data: bytes
) -> None:
    store, targets = new_store(), targets_of([()])
    store.contents[f"{targets.all[0].output_path}/.executor_status"] = b"RUNNING"
    store.contents[f"{targets.all[0].output_path}/{file}"] = data
    with pytest.raises(CorruptStateError) as caught:
        _seen(store, targets)
    assert targets.all[0].output_path in caught.value.what


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"null", b'{"executor_version": "marin_build/1"}',
        b'{"executor_version": "marin_build/1", "fingerprint": "f", "provenance": 3}',
    ],
)  # fmt: skip
def test_a_damaged_record_is_an_error(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore], data: bytes
) -> None:
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    store.contents |= {f"{path}/.executor_status": b"SUCCESS", f"{path}/.executor_info": data}
    with pytest.raises(CorruptStateError, match="executor_info"):
        _seen(store, targets)


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


@pytest.mark.parametrize(
    ("options", "way_out"),
    [
        ({"version": "v1"}, "under the version `v1`: give it a new one"),
        ({"override_output_path": "/x"}, "under this output path: give it another one"),
        ({}, "rename the step"),
    ],
)
def test_the_output_of_another_pipeline_is_never_reused(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore],
    options: dict[str, str], way_out: str,
) -> None:  # fmt: skip
    store = new_store()
    targets = make(StepSpec(name="train", **options))  # type: ignore[arg-type]
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
    assert way_out in (caught.value.hint or "")


def test_the_newest_attempt_of_a_failed_target_is_told(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    store, targets = new_store(), targets_of([()])
    path = targets.all[0].output_path
    store.contents[f"{path}/.executor_status"] = b"FAILED"
    for number in (9, 10, 2):
        store.contents[f"{path}/.logs/attempt-{number:04}.json"] = json.dumps(
            {"attempt": number, "exit_code": number, "message": None, "worker": "w", "end": None}
        ).encode()
    store.contents[f"{path}/.logs/attempt-0011.log"] = b"a log without its document"
    last = _seen(store, targets).last
    assert last is not None
    assert (last.attempt, last.exit_code) == (10, 10)
    store.contents[f"{path}/.logs/attempt-0010.json"] = b"[]"
    with pytest.raises(CorruptStateError, match="attempt-0010"):
        _seen(store, targets)


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
    """A first build of thousands of targets asks once for each, not twice."""
    store, targets = new_store(), targets_of([(), (0,), (1,)])
    _seen(store, targets)
    assert store.read == {f"{target.output_path}/.executor_status" for target in targets.all}


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
