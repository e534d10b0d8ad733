"""Cloud Storage on a bad day: refusals, lost replies, latency; and the number of requests."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import StoreError
from marin_build.store.base import Blob
from marin_build.store.gcs import GcsStore
from marin_build.store.remote import CONCURRENCY
from tests.servers.faults import Fault
from tests.servers.gcs_objects import Conditions

if TYPE_CHECKING:
    from tests.servers.gcs import GcsServer

    from .conftest import Place

NO_CONDITIONS = Conditions()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses gcsfs makes between two tries, in seconds; here they take no time."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr("gcsfs.retry.asyncio", SimpleNamespace(sleep=pause))
    return made


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again_ever_more_patiently(
    gcs: GcsServer, bucket: Place, pauses: list[float], status: int
) -> None:
    gcs.faults.add(Fault(status, first=3))
    version = bucket.store.put(bucket.path("a"), b"one")
    assert bucket.store.get(bucket.path("a")) == Blob(b"one", version)
    assert [call.status for call in gcs.calls] == [status, status, status, 200, 200]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_a_service_that_stays_busy_is_an_error(
    gcs: GcsServer, bucket: Place, pauses: list[float]
) -> None:
    gcs.faults.add(Fault(503, every=1))
    with pytest.raises(StoreError) as caught:
        bucket.store.get(bucket.path("a"))
    assert caught.value.what == f"cannot read `{bucket.path('a')}`"
    assert caught.value.facts == (("reason", "injected by the test, 503"),)
    assert 4 <= len(pauses) < 10


@pytest.mark.usefixtures("pauses")
def test_one_bad_read_of_a_batch_names_its_path(gcs: GcsServer, bucket: Place) -> None:
    gcs.faults.add(Fault(403, holds="secret", every=1))
    with pytest.raises(StoreError) as caught:
        bucket.store.get_many([bucket.path(name) for name in ("a", "secret", "b")])
    assert caught.value.what == f"cannot read `{bucket.path('secret')}`: permission denied"
    assert caught.value.hint == "log in with `gcloud auth application-default login`"


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("nth", [1, 2])
def test_a_create_whose_reply_was_lost_is_there(gcs: GcsServer, bucket: Place, nth: int) -> None:
    """The seam: it may say that its condition did not hold; who cares recognises its own bytes."""
    lost = gcs.faults.add(Fault("reply", method="POST", nth=nth))
    said = [bucket.store.put_if_absent(bucket.path(name), b"mine") for name in ("a", "b")]
    assert lost.struck == 1
    assert [version is None for version in said] == [nth == 1, nth == 2]
    for name in ("a", "b"):
        blob = bucket.store.get(bucket.path(name))
        assert blob is not None
        assert blob.data == b"mine"
    assert [call.status for call in gcs.calls if call.method == "POST"].count(412) == 1


@pytest.mark.usefixtures("pauses")
def test_a_replacement_whose_reply_was_lost_is_there(gcs: GcsServer, bucket: Place) -> None:
    path = bucket.path("a")
    first = bucket.store.put(path, b"one")
    gcs.faults.add(Fault("reply", method="POST", nth=1))
    assert bucket.store.replace_if(path, b"two", first) is None
    blob = bucket.store.get(path)
    assert blob is not None
    assert blob.data == b"two"
    assert blob.version != first


@pytest.mark.usefixtures("pauses")
def test_a_delete_whose_reply_was_lost_is_done(gcs: GcsServer, bucket: Place) -> None:
    version = bucket.store.put(bucket.path("a"), b"one")
    gcs.faults.add(Fault("reply", method="DELETE", nth=1))
    assert not bucket.store.delete_if(bucket.path("a"), version)
    assert bucket.store.get(bucket.path("a")) is None


@pytest.mark.usefixtures("pauses")
def test_a_write_whose_reply_was_lost_is_repeated(gcs: GcsServer, bucket: Place) -> None:
    gcs.faults.add(Fault("reply", method="POST", nth=1))
    version = bucket.store.put(bucket.path("a"), b"one")
    assert bucket.store.get(bucket.path("a")) == Blob(b"one", version)


@pytest.mark.usefixtures("pauses")
def test_nothing_is_lost_on_a_bad_network(gcs: GcsServer, bucket: Place) -> None:
    paths = [bucket.path(f"{number}") for number in range(60)]
    gcs.faults.add(Fault("reply", share=0.1, seed=1))
    gcs.faults.add(Fault(503, share=0.1, seed=2))
    for path in paths:
        bucket.store.put(path, path.encode())
    read = bucket.store.get_many(paths)
    assert [blob and blob.data.decode() for blob in read] == paths
    bucket.store.delete(paths)
    assert bucket.store.files(bucket.folder) == []


def test_a_batch_is_read_at_once(gcs: GcsServer, bucket: Place) -> None:
    """One request a path, and all the connections in use: else a plan takes minutes."""
    count = 250
    for number in range(0, count, 2):
        gcs.api.buckets.insert("bucket", f"batch/{number}", b"x", NO_CONDITIONS)
    gcs.faults.crowd = CONCURRENCY
    read = bucket.store.get_many([f"gs://bucket/batch/{number}" for number in range(count)])
    assert [blob is not None for blob in read] == [number % 2 == 0 for number in range(count)]
    assert len(gcs.calls) == count
    assert max(call.beside for call in gcs.calls) == CONCURRENCY


def test_each_method_makes_one_request(gcs: GcsServer, bucket: Place) -> None:
    store, path = bucket.store, bucket.path("a")
    first = store.put_if_absent(path, b"1")
    second = store.replace_if(path, b"2", first or "")
    third = store.put(path, b"3")
    for unmet in (store.put_if_absent(path, b""), store.replace_if(path, b"", second or "")):
        assert unmet is None
    assert not store.delete_if(path, second or "")
    store.get(path)
    store.get(bucket.path("none"))
    store.list(bucket.folder)
    store.files(bucket.folder)
    assert store.delete_if(path, third)
    store.delete([path])
    said = [(call.method, call.status) for call in gcs.calls]
    assert said == [
        ("POST", 200), ("POST", 200), ("POST", 200), ("POST", 412), ("POST", 412), ("DELETE", 412),
        ("GET", 200), ("GET", 404), ("GET", 200), ("GET", 200), ("DELETE", 204), ("DELETE", 404),
    ]  # fmt: skip


def test_listings_make_a_request_a_page(gcs: GcsServer, bucket: Place) -> None:
    names = sorted(f"{number}" for number in range(2_500))
    for name in names:
        gcs.api.buckets.insert("bucket", f"many/{name}", b"x", NO_CONDITIONS)
    assert [file.path for file in bucket.store.files("gs://bucket/many")] == names
    assert len(gcs.calls) == 3
    assert bucket.store.list("gs://bucket/many") == names
    assert len(gcs.calls) == 6


def test_a_bucket_is_looked_for_once(gcs: GcsServer) -> None:
    """Else each target that is not built costs a second request."""
    store = GcsStore()
    assert store.get_many([f"gs://bucket/none/{number}" for number in range(5)]) == [None] * 5
    assert store.get("gs://bucket/none/again") is None
    assert len(gcs.calls) == 5 + 1 + 1


def test_a_dead_endpoint_is_an_error(pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    with pytest.raises(StoreError, match="cannot read `gs://bucket/a`") as caught:
        GcsStore().get("gs://bucket/a")
    assert "Cannot connect" in caught.value.facts[0][1]
    assert sum(pauses) < 60


def test_an_endpoint_that_does_not_answer_is_an_error(
    gcs: GcsServer, bucket: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcs.faults.latency = 30
    monkeypatch.setattr("marin_build.store.remote.PATIENCE", 0.1)
    with pytest.raises(StoreError, match="cannot read") as caught:
        bucket.store.get(bucket.path("a"))
    assert caught.value.facts == (("reason", "the store does not answer"),)
