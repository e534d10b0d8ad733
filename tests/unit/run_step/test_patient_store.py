"""A store that is asked again says so once, and waits no longer than it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreAwayError, StoreDeniedError, StoreError
from marin_build.run_step import patient_store
from marin_build.run_step.commit_retry import CommitRetry
from marin_build.run_step.patient_store import Patience, PatientStore, patiently
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AWAY = StoreAwayError("cannot read `x`", facts=[("reason", "503")])
DENIED = StoreDeniedError("cannot read `x`: permission denied", hint="log in")

REQUESTS: dict[str, Callable[[PatientStore, str], object]] = {
    "get": lambda store, path: store.get(path),
    "get_many": lambda store, path: store.get_many([path]),
    "put": lambda store, path: store.put(path, b""),
    "put_if_absent": lambda store, path: store.put_if_absent(path, b""),
    "replace_if": lambda store, path: store.replace_if(path, b"", "v"),
    "delete_if": lambda store, path: store.delete_if(path, "v"),
    "files": lambda store, path: store.files(path),
    "folders": lambda store, path: store.folders(path),
    "list": lambda store, path: store.list(path),
    "delete": lambda store, path: store.delete([path]),
}


class Clock:
    """Time that passes only while a thread waits."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(
        patient_store, "CommitRetry", lambda s, called: CommitRetry(s, called, clock, clock.sleep)
    )
    return clock


class Failing(LocalStore):
    """A store whose requests fail in turn, for some time or for so many seconds."""

    def __init__(self, error: StoreError, is_over: Callable[[], bool]) -> None:
        super().__init__()
        self.error, self.is_over = error, is_over

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in REQUESTS and not super().__getattribute__("is_over")():
            raise super().__getattribute__("error")
        return found


@pytest.mark.parametrize("error", [AWAY, DENIED])
@pytest.mark.parametrize("request_", REQUESTS)
def test_every_request_is_asked_again_and_it_is_said_once(
    tmp_path: Path, clock: Clock, request_: str, error: StoreAwayError
) -> None:
    """Else one kind of request ends a run, or a screen is full of the same line."""
    store = PatientStore(Failing(error, lambda: clock.now > 20))
    with patiently(store, Patience(lambda: False)):
        REQUESTS[request_](store, str(tmp_path / "x"))
        REQUESTS[request_](store, str(tmp_path / "x"))
    first, last = store.news()
    assert first.message.endswith(f"{error.with_reason}; asking again")
    assert first.hint == (error.hint or "")
    assert last.message.startswith("the store answers again, after ")
    assert store.news() == []


@pytest.mark.parametrize(("error", "waited"), [(AWAY, 100.0), (DENIED, 10.0)])
def test_patience_ends_and_does_not_begin_anew(
    clock: Clock, error: StoreAwayError, waited: float
) -> None:
    """Else each of the requests that end an attempt waits for an hour."""
    store = PatientStore(Failing(error, lambda: False))
    with patiently(store, Patience(lambda: False, away=100.0, denied=10.0)):
        for _ in range(3):
            with pytest.raises(type(error)):
                store.get("/x")
            assert clock.now == pytest.approx(waited)


def test_what_cannot_pass_is_not_waited_for(clock: Clock) -> None:
    """Else a typing error in the name of a bucket is waited for."""
    store = PatientStore(Failing(StoreError("no bucket"), lambda: False))
    with patiently(store, Patience(lambda: False)), pytest.raises(StoreError):
        store.get("/x")
    assert (clock.now, store.news()) == (0.0, [])


def test_without_patience_or_when_the_run_is_to_end_it_is_not_waited(clock: Clock) -> None:
    """Else Ctrl-C waits for a store that is away."""
    store = PatientStore(Failing(AWAY, lambda: False))
    with pytest.raises(StoreAwayError):
        store.get("/x")
    with patiently(store, Patience(lambda: True)), pytest.raises(StoreAwayError):
        store.get("/x")
    store.hurry()
    with patiently(store, Patience(lambda: False)), pytest.raises(StoreAwayError):
        store.get("/x")
    assert clock.now == 0.0
    assert len(store.news()) == 1


def test_a_store_that_is_read_but_not_written_does_not_answer_again(clock: Clock) -> None:
    """Else the screen says again and again that all is well."""
    refuses = True
    store = PatientStore(LocalStore())
    inner: Any = store._store
    put = inner.put

    def deny(*args: Any) -> Any:
        if refuses:
            raise DENIED
        return put(*args)

    inner.put = deny
    for _ in range(3):
        with pytest.raises(StoreDeniedError):
            store.put("/nowhere/x", b"")
        store.get("/nowhere/x")
    assert len(store.news()) == 1
    assert clock.now == 0.0
