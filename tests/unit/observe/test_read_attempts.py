"""Which attempts there are, and where their logs lie."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import CorruptStateError
from marin_build.observe.read_attempts import has_ended, local_log, read_attempts, read_documents
from marin_build.protocol.layout import NOWHERE
from marin_build.protocol.lease import Host, Lease
from marin_build.workspace.private_folder import private_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import MemoryStore

OUT, FAR = "/out/train_1", "gs://bucket/train_1"
LOCK = "/out/train_1/.executor_status.lock"
HERE, ELSEWHERE = Host("me@here", "boot-1"), Host("me@there", "boot-2")
HELD = Lease("me@here", 1.0, run="r-1", attempt=3, nonce="n", boot="boot-1", pid=1, start=-2)
DOCUMENT = b'{"result": "failed", "worker": "w", "run": "r-1"}'


@pytest.fixture
def store(new_store: Callable[[], MemoryStore]) -> MemoryStore:
    """Two attempts that ended, and a third that runs."""
    store = new_store()
    for output in (OUT, FAR):
        store.contents |= {
            f"{output}/.executor_status": b"RUNNING",
            f"{output}/.executor_status.lock": HELD.encode(),
            f"{output}/.logs/attempt-0001.json": DOCUMENT,
            f"{output}/.logs/attempt-0001.log": b"hello",
            f"{output}/.logs/attempt-0002.json": DOCUMENT,
            f"{output}/.logs/attempt-0002/rank-0.json": b"{}",
            f"{output}/.logs/something.json": b"",
            f"{output}/.logs/README": b"",
        }
    return store


def test_all_attempts_are_found_the_running_one_too(store: MemoryStore) -> None:
    found = read_attempts(store, OUT, "train_1")
    assert found.numbers == [1, 2, 3]
    assert (found.ended, found.logs) == (frozenset({1, 2}), {1: 5})
    assert found.lease_of(3) == HELD
    assert found.lease_of(2) is None


def test_an_attempt_that_ended_does_not_run_whatever_its_lease_says(store: MemoryStore) -> None:
    """Else a log whose holder died between its last two writes is followed for ever."""
    store.contents[f"{OUT}/.logs/attempt-0003.json"] = DOCUMENT
    assert read_attempts(store, OUT, "train_1").lease_of(3) is None
    store.contents[LOCK] = HELD.sealed("d", 2.0).encode()
    assert read_attempts(store, OUT, "train_1").lease is None


def test_nothing_is_found_where_nothing_was_built(new_store: Callable[[], MemoryStore]) -> None:
    found = read_attempts(new_store(), OUT, "train_1")
    assert (found.numbers, found.status, found.lease) == ([], None, None)


def test_documents_are_read_in_one_batch(store: MemoryStore) -> None:
    attempts = read_attempts(store, OUT, "train_1")
    store.batches.clear()
    assert sorted(read_documents(store, attempts, [1, 2, 3])) == [1, 2]
    assert len(store.batches) == 1
    store.contents[f"{OUT}/.logs/attempt-0002.json"] = b"[]"
    with pytest.raises(CorruptStateError, match="attempt-0002"):
        read_documents(store, attempts, [2])


def test_a_local_log_lies_beside_its_output(store: MemoryStore) -> None:
    attempts = read_attempts(store, OUT, "train_1")
    for number in (1, 3):
        path = f"{OUT}/.logs/attempt-{number:04}.log"
        assert local_log(attempts, number, "r-1", ELSEWHERE) == path


def test_the_log_of_what_runs_lies_where_it_runs(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a log of another machine is said to be empty."""
    attempts = read_attempts(store, FAR, "train_1")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert local_log(attempts, 3, "", HERE) == f"{NOWHERE}/train_1/.logs/attempt-0003.log"
    folder = private_folder("r-1")
    assert local_log(attempts, 3, "", HERE) == f"{folder}/train_1/.logs/attempt-0003.log"
    assert local_log(attempts, 3, "", ELSEWHERE) is None
    assert local_log(attempts, 3, "", Host("x", "")) is None, "who cannot tell does not claim it"


def test_what_could_not_be_sent_is_found_where_it_ran(
    store: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    attempts = read_attempts(store, FAR, "train_1")
    assert local_log(attempts, 1, "r-1", HERE) is None, "it is in the store"
    assert local_log(attempts, 2, "r-1", HERE) is None
    path = Path(private_folder("r-1")) / "train_1/.logs/attempt-0002.log"
    path.parent.mkdir(parents=True)
    path.touch()
    assert local_log(attempts, 2, "r-1", HERE) == str(path)
    assert local_log(attempts, 2, "", HERE) is None


def test_an_attempt_ends_with_its_document_or_its_lease(store: MemoryStore) -> None:
    ended = [
        {f"{OUT}/.logs/attempt-0003.json": DOCUMENT},
        {LOCK: HELD.sealed("d", 2.0).encode()},
        {LOCK: Lease("bob", 2.0, nonce="his", attempt=3).encode()},
    ]
    before = dict(store.contents)
    renewed = {LOCK: HELD.renewed(60.0).encode()}
    for change, expected in ((renewed, False), *((change, True) for change in ended)):
        store.contents = before | change
        assert has_ended(store, OUT, HELD, ELSEWHERE, "/nowhere") is expected
    store.contents = before
    assert has_ended(store, OUT, HELD, HERE, "/nowhere"), "its holder died on this machine"
    del store.contents[LOCK]
    assert has_ended(store, OUT, HELD, ELSEWHERE, "/nowhere")
