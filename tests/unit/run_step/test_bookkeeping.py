"""A turn at the books: kept from the end of one step to the beginning of the next."""

from __future__ import annotations

import threading

import pytest

from marin_build.run_step.bookkeeping import Bookkeeping


def test_the_turn_is_given_away_while_a_body_runs_and_kept_between_steps() -> None:
    """Else slots wait for each other at bodies, or hand over twice a step."""
    turns = threading.Lock()
    turn = Bookkeeping(turns)
    for _ in range(3):
        with turn:
            assert turns.locked()
        assert not turns.locked(), "a body runs"
        with turn:
            assert turns.locked()
        assert turns.locked(), "the end is entered"
        turn.step_over(goes_on=True)
        assert turns.locked(), "the next step begins"
    turn.step_over(goes_on=False)
    assert not turns.locked()


def test_a_step_without_a_body_gives_the_turn_away_once() -> None:
    turns = threading.Lock()
    turn = Bookkeeping(turns)
    with turn:
        pass
    assert not turns.locked()
    turn.step_over(goes_on=True)
    turn.step_over(goes_on=False)
    assert not turns.locked()


def test_an_error_does_not_lose_the_turn() -> None:
    """Else all other slots wait for ever."""
    turns = threading.Lock()
    turn = Bookkeeping(turns)
    for _ in range(2):
        with pytest.raises(OSError, match="disk"), turn:
            raise OSError("disk")
    turn.step_over(goes_on=False)
    assert not turns.locked()
