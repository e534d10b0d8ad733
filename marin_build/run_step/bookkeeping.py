"""Whose turn it is to do what a step needs besides its body, where a store answers at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading


class Bookkeeping:
    """The turn of one supervisor: others wait for theirs.

    It is given away while a body runs. After a body it lasts until the next one begins: what ends
    a step, and what begins the next one, follow each other in one thread without a pause.

    Args:
        turns: held by the supervisor whose turn it is.

    """

    def __init__(self, turns: threading.Lock) -> None:
        self._turns = turns
        self._is_ours = False
        self._is_after_body = False

    def __enter__(self) -> None:
        """Wait for the turn, unless it is ours."""
        if not self._is_ours:
            self._turns.acquire()
            self._is_ours = True

    def __exit__(self, *_: object) -> None:
        """Give the turn away before a body; keep it after that."""
        if not self._is_after_body:
            self._give_away()
        self._is_after_body = True

    def step_over(self, *, goes_on: bool) -> None:
        """Keep the turn for the next step, or give it away.

        Args:
            goes_on: whether this supervisor has another one.

        """
        self._is_after_body = False
        if not goes_on:
            self._give_away()

    def _give_away(self) -> None:
        if self._is_ours:
            self._is_ours = False
            self._turns.release()
