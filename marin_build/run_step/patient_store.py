"""A store that is asked again while it gives no answer, or does not let us in; it says so once.

Every thread says how patient it is: a supervisor as long as its result is worth, another not at
all. A conditional write that is asked again may meet its own work, as `Store` allows.
"""

from __future__ import annotations

import queue
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from marin_build.errors import StoreAwayError, StoreDeniedError
from marin_build.run_step.commit_retry import LONGEST, CommitRetry
from marin_build.store.hurry import hurry
from marin_build.store.slow_requests import silent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from marin_build.store.base import Blob, File, Store


T = TypeVar("T")

A_WHILE = 30.0
"""Seconds for which a store that refuses us is asked again although nothing was built yet."""


class News(NamedTuple):
    """What to tell the user of a store, and what to do about it; the hint may be empty."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a thread asks again.

    Args:
        is_over: whether it is to end: then it asks no more.
        away: seconds, while the store gives no answer.
        denied: seconds, while it does not let us in.
        on_wait: called with the error after which it waits, and for how many seconds at most.

    """

    is_over: Callable[[], object]
    away: float = LONGEST
    denied: float = A_WHILE
    on_wait: Callable[[StoreAwayError, float], None] = lambda _error, _seconds: None


class _Waiting:
    """The waits of one thread; once they are over, it waits no more until the store answers."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._retry: CommitRetry | None = None
        self._is_spent = False

    def wait(self, error: StoreAwayError) -> bool:
        """Wait after an error; return False if the store is not to be asked again."""
        patience = self._patience
        if self._is_spent or patience.is_over():
            return False
        if self._retry is None:
            seconds = patience.denied if isinstance(error, StoreDeniedError) else patience.away
            self._retry = CommitRetry(seconds, patience.is_over)
            patience.on_wait(error, self._retry.seconds)
        self._is_spent = not self._retry.wait()
        return True

    def end(self) -> None:
        """Take note of an answer."""
        self._retry, self._is_spent = None, False


class PatientStore:
    """A store, and whether it answers; all threads of a run share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.is_local = store.is_local
        self._is_hurried = False
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._away: dict[str, float] = {}  # request -> since when it gets no answer
        self._news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._tell: Callable[[News], None] = self._news.put

    def listen(self, tell: Callable[[News], None]) -> None:
        """Have news told by the threads that meet them, and not kept for `news`."""
        self._tell = tell

    @property
    def conditional(self) -> bool:
        """Whether the conditional writes hold."""
        return self._store.conditional

    def hurry(self) -> None:
        """Wait for no request longer than a moment from now on; safe in a signal handler."""
        self._is_hurried = True
        hurry(self._store)

    def tell(self, message: str) -> None:
        """Have something told of work that waits for the store."""
        self._tell(News(message))

    def news(self) -> list[News]:
        """Return what is to be told since the last call."""
        found = []
        while True:
            try:
                found.append(self._news.get_nowait())
            except queue.Empty:
                return found

    @contextmanager
    def with_patience(self, patience: Patience) -> Iterator[None]:
        """Have requests of this thread be asked again."""
        before = getattr(self._of_thread, "waiting", None)
        self._of_thread.waiting = _Waiting(patience)
        try:
            yield
        finally:
            self._of_thread.waiting = before

    def get(self, path: str) -> Blob | None:
        """Return what is at `path`, or None."""
        return self._ask("get", lambda: self._store.get(path))

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Return what is at each path."""
        return self._ask("get", lambda: self._store.get_many(paths))

    def put(self, path: str, data: bytes) -> str:
        """Write, whatever was there."""
        return self._ask("put", lambda: self._store.put(path, data))

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Write if nothing is there."""
        return self._ask("put", lambda: self._store.put_if_absent(path, data))

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Write if `version` is there."""
        return self._ask("replace", lambda: self._store.replace_if(path, data, version))

    def delete_if(self, path: str, version: str) -> bool:
        """Delete if `version` is there."""
        return self._ask("delete", lambda: self._store.delete_if(path, version))

    def files(self, folder: str) -> Sequence[File]:
        """Return every file below a folder."""
        return self._ask("list", lambda: self._store.files(folder))

    def folders(self, start: str) -> Sequence[str]:
        """Return the paths of the folders that begin with `start`."""
        return self._ask("list", lambda: self._store.folders(start))

    def list(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        return self._ask("list", lambda: self._store.list(folder))

    def delete(self, paths: Sequence[str]) -> None:
        """Delete what is at each path."""
        self._ask("delete", lambda: self._store.delete(paths))

    def _ask(self, what: str, request: Callable[[], T]) -> T:
        waiting: _Waiting | None = getattr(self._of_thread, "waiting", None)
        while True:
            try:
                with silent():  # what keeps a run waiting is its news
                    answer = request()
            except StoreAwayError as error:
                self._note_away(what, error)
                if waiting is None or self._is_hurried or not waiting.wait(error):
                    raise
            else:
                if self._away:
                    self._note_answer(what)
                if waiting is not None:
                    waiting.end()
                return answer

    def _note_away(self, what: str, error: StoreAwayError) -> None:
        if self._is_hurried:
            return
        with self._lock:
            if not self._away:
                is_denied = isinstance(error, StoreDeniedError)
                said = "does not let us in" if is_denied else "gives no answer"
                message = f"the store {said}: {error.with_reason}; asking again"
                self._tell(News(message, error.hint or ""))
            self._away.setdefault(what, time.monotonic())

    def _note_answer(self, what: str) -> None:
        with self._lock:
            since = self._away.pop(what, None)
            if since is not None and not self._away:
                seconds = time.monotonic() - since
                self._tell(News(f"the store answers again, after {seconds:.0f} s"))


def patiently(store: Store, patience: Patience) -> AbstractContextManager[None]:
    """Have requests of this thread be asked again, if a store can be patient."""
    if isinstance(store, PatientStore):
        return store.with_patience(patience)
    return nullcontext()


def tell_news(store: Store, message: str) -> None:
    """Have something told of work that waits for a store, if its users are told of outages."""
    if isinstance(store, PatientStore):
        store.tell(message)
