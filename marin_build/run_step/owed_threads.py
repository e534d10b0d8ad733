"""Threads that steps start which are threads themselves: a step waits for its own.

Steps in threads run in daemon threads, which hand that on to the threads they start, and the
interpreter would wait for none of these. So a step's threads are known by who started them.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from marin_build.run_step.interpreter_end import executor_of, join_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_OWED = "_marin_build_owed"
"""The attribute of a thread that lists what it, or the step that it belongs to, has started."""


class OwedThreads:
    """Knows which threads a step has started, and they in turn, until it is removed."""

    def __init__(self) -> None:
        make, begin = threading.Thread.__init__, threading.Thread.start
        self._before = make, begin

        def init(
            thread: threading.Thread, *args: Any, daemon: bool | None = None, **kw: Any
        ) -> None:
            if daemon is None and _owed_by_this() is not None:
                daemon = False
            make(thread, *args, daemon=daemon, **kw)

        def start(thread: threading.Thread) -> None:
            owed = _owed_by_this()
            if owed is not None and not thread.daemon:
                setattr(thread, _OWED, owed)
                owed.append(thread)
                thread.daemon = True  # else a run that is interrupted cannot end before it
            begin(thread)

        self._put(init, start)

    @contextmanager
    def of_this(self) -> Iterator[list[threading.Thread]]:
        """Note what this thread starts from now on."""
        owed: list[threading.Thread] = []
        setattr(threading.current_thread(), _OWED, owed)
        try:
            yield owed
        finally:
            delattr(threading.current_thread(), _OWED)

    def remove(self) -> None:
        """Put the former functions back."""
        self._put(*self._before)

    def _put(self, init: Callable[..., None], start: Callable[..., None]) -> None:
        threading.Thread.__init__ = init  # type: ignore[method-assign]
        threading.Thread.start = start  # type: ignore[method-assign]


def join_owed(owed: list[threading.Thread], tell: Callable[[str], None]) -> None:
    """Wait for the threads of a step; those of executors are shared with the steps to come.

    Args:
        owed: those that were started so far; they may start more.
        tell: called with what the step waits for, when that takes a while.

    """
    while left := [each for each in owed if each.is_alive() and executor_of(each) is None]:
        join_threads(left, tell)


def _owed_by_this() -> list[threading.Thread] | None:
    return getattr(threading.current_thread(), _OWED, None)
