"""Whose turn it is to do what a step needs besides its body, where a store answers at once.

Threads that call the system every few microseconds would fight for the interpreter at each call. So
one supervisor at a time does its bookkeeping. A body that takes its time is waited for without the
turn. One that does next to nothing is over before another thread has woken up: then the turn is
kept, and a supervisor that waits for it takes it away if the body goes on all the same.

    bookkeeping | body         | bookkeeping      given away: the last body of this slot was long
    bookkeeping + body + bookkeeping              kept: the last body was short, and this one is
    bookkeeping + body ...     | bookkeeping      kept, and taken away: this one is not
"""

from __future__ import annotations

import threading
import time

SHORT = 0.001
"""Seconds that a body may take during which the turn is kept."""
TENURE = 0.02
"""Seconds after which a turn is given away that another supervisor waits for."""


class Turns:
    """The turn, which one of several supervisors has at a time."""

    def __init__(self) -> None:
        self._turn = threading.Lock()  # held by the one that has the turn
        self._line = threading.Lock()  # held by the first of those that wait
        self._is_awaited = False
        self._since = 0.0
        self._guard = threading.Lock()
        self._kept_by: Bookkeeping | None = None  # guarded
        self._kept_until = 0.0

    def take(self) -> None:
        """Wait for the turn; take it away from one that keeps it during a body for too long."""
        if not self._turn.acquire(blocking=False):
            with self._line:
                self._is_awaited = True
                while not self._turn.acquire(timeout=self._pause()):
                    if self._take_away():
                        break
                self._is_awaited = False
        elif self._is_awaited:
            return  # it was faster than the one that waits, whose time goes on
        self._since = time.monotonic()

    def keep(self, owner: Bookkeeping) -> bool:
        """Keep the turn while a body runs; return False if others have waited for long enough."""
        now = time.monotonic()
        if self._is_awaited and now - self._since >= TENURE:
            return False
        with self._guard:
            self._kept_by, self._kept_until = owner, now + SHORT
        return True

    def resume(self, owner: Bookkeeping) -> bool:
        """Go on with a turn that was kept; return False if it was taken away meanwhile."""
        with self._guard:
            is_there = self._kept_by is owner
            if is_there:
                self._kept_by = None
        return is_there

    def give_away(self) -> None:
        """Let one that waits have the turn."""
        self._turn.release()

    def _pause(self) -> float:
        """Return after how many seconds to look again whether the turn can be taken away."""
        with self._guard:
            left = self._kept_until - time.monotonic() if self._kept_by is not None else SHORT
        return max(left, 0.0)

    def _take_away(self) -> bool:
        with self._guard:
            is_over = self._kept_by is not None and time.monotonic() >= self._kept_until
            if is_over:
                self._kept_by = None
        return is_over


class Bookkeeping:
    """The turn of one supervisor: held while it reads and writes what belongs to a step.

    After a body it lasts until the next one begins: what ends a step, and what begins the next one,
    follow each other in one thread without a pause.

    Args:
        turns: those of all supervisors of this process.
        keeps: whether the turn may be kept during a short body: one in a thread of this process,
            which needs the interpreter, too.

    """

    def __init__(self, turns: Turns, *, keeps: bool) -> None:
        self._turns, self._keeps = turns, keeps
        self._is_ours = False
        self._is_kept = False  # during a body
        self._was_short = False
        self._is_after_body = False
        self._began = 0.0  # the body

    def __enter__(self) -> None:
        """Wait for the turn, unless it is ours."""
        self._resume()
        if not self._is_ours:
            self._turns.take()
            self._is_ours = True

    def __exit__(self, *_: object) -> None:
        """Begin a body; after that, keep the turn."""
        if self._is_after_body:
            return
        self._is_after_body = True
        self._began = time.monotonic()
        if self._keeps and self._was_short and self._turns.keep(self):
            self._is_kept = True
        else:
            self._give_away()

    def step_over(self, *, goes_on: bool) -> None:
        """Keep the turn for the next step, or give it away.

        Args:
            goes_on: whether this supervisor has another one.

        """
        self._resume()
        self._is_after_body = False
        if not goes_on:
            self._give_away()

    def _resume(self) -> None:
        """End a body, if one runs."""
        if self._began:
            self._was_short = time.monotonic() - self._began < SHORT
            self._began = 0.0
        if self._is_kept:
            self._is_kept = False
            self._is_ours = self._turns.resume(self)

    def _give_away(self) -> None:
        if self._is_ours:
            self._is_ours = False
            self._turns.give_away()
