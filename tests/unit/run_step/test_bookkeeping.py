"""The turn at the books: kept between steps and during short bodies, and no body holds it up."""

from __future__ import annotations

import random
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from marin_build.run_step import bookkeeping
from marin_build.run_step.bookkeeping import SHORT, TENURE, Bookkeeping, Turns

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 60.0
"""Seconds until a test gives up."""


class Clock:
    """The monotonic clock, which stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bookkeeping, "time", SimpleNamespace(monotonic=clock))
    return clock


def _is_free(turns: Turns) -> bool:
    """Return whether a supervisor that comes now need not wait."""
    is_free = turns._turn.acquire(blocking=False)
    if is_free:
        turns._turn.release()
    return is_free


def _step(turn: Bookkeeping, clock: Clock, seconds: float, body: Callable[[], object]) -> None:
    with turn:
        pass
    body()
    clock.now += seconds
    with turn:
        pass
    turn.step_over(goes_on=True)


def _taken_by_another(turns: Turns) -> threading.Event:
    """Have another supervisor take the turn, and keep it; return what tells that it has it."""
    has_it = threading.Event()

    def take() -> None:
        turns.take()
        has_it.set()

    threading.Thread(target=take, daemon=True).start()
    return has_it


def test_the_turn_is_given_away_while_a_long_body_runs_and_kept_between_steps(
    clock: Clock,
) -> None:
    """Else slots wait for each other at bodies, or hand over twice a step."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    for _ in range(3):
        with turn:
            assert not _is_free(turns)
        assert _is_free(turns), "a body runs"
        clock.now += SHORT
        with turn:
            assert not _is_free(turns)
        assert not _is_free(turns), "the end is entered"
        turn.step_over(goes_on=True)
        assert not _is_free(turns), "the next step begins"
    turn.step_over(goes_on=False)
    assert _is_free(turns)


def test_the_turn_is_kept_during_a_body_after_a_short_one(clock: Clock) -> None:
    """Else two slots of short steps are slower than one: each step hands over twice."""
    turns, seen = Turns(), []
    turn = Bookkeeping(turns, keeps=True)
    for seconds in (0, SHORT / 2, SHORT, SHORT / 2, 0):
        _step(turn, clock, seconds, lambda: seen.append(_is_free(turns)))
    assert seen == [True, False, False, True, False]
    turn.step_over(goes_on=False)
    assert _is_free(turns)


def test_the_turn_is_never_kept_during_a_body_in_another_process(clock: Clock) -> None:
    """It takes another core: meanwhile this process has other books to do."""
    turns, seen = Turns(), []
    turn = Bookkeeping(turns, keeps=False)
    for _ in range(3):
        _step(turn, clock, 0, lambda: seen.append(_is_free(turns)))
    assert seen == [True, True, True]


def test_a_body_that_goes_on_loses_the_turn_to_one_that_waits(clock: Clock) -> None:
    """Else a step that takes long after short ones holds all others up, or waits for one."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    _step(turn, clock, 0, lambda: None)
    with turn:
        pass
    has_it = _taken_by_another(turns)
    assert not has_it.wait(5 * SHORT), "the body has not taken long so far"
    clock.now += SHORT
    assert has_it.wait(PATIENCE), "the body goes on"
    is_back = threading.Event()

    def end() -> None:
        with turn:
            is_back.set()

    threading.Thread(target=end, daemon=True).start()
    assert not is_back.wait(5 * SHORT), "another one has the turn"
    turns.give_away()
    assert is_back.wait(PATIENCE)


def test_a_turn_that_others_wait_for_is_given_away_after_a_while(clock: Clock) -> None:
    """Else a step that was started waits until all short ones of another slot are built."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    _step(turn, clock, 0, lambda: None)
    has_it = _taken_by_another(turns)
    while not turns._is_awaited:
        pass
    for _ in range(round(TENURE / (SHORT / 2)) - 1):
        _step(turn, clock, SHORT / 2, lambda: None)
    assert not has_it.is_set()
    clock.now += SHORT
    with turn:
        pass
    assert has_it.wait(PATIENCE)
    turns.give_away()
    seen: list[bool] = []
    for _ in range(2 * round(TENURE / (SHORT / 2))):
        _step(turn, clock, SHORT / 2, lambda: seen.append(_is_free(turns)))
    assert not any(seen[1:]), "nobody waits any more"


def test_who_is_faster_than_the_one_that_waits_has_no_more_time(clock: Clock) -> None:
    """Else one slot takes the turn again and again before another one has woken up."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    _step(turn, clock, 0, lambda: None)
    turn.step_over(goes_on=False)
    turns._is_awaited = True
    clock.now += 2 * TENURE
    with turn:
        pass
    assert _is_free(turns)


def test_a_turn_that_is_used_again_after_a_body_is_not_taken_away(clock: Clock) -> None:
    """Else two supervisors have it, and fight for the interpreter."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    _step(turn, clock, 0, lambda: None)
    _step(turn, clock, 0, lambda: None)
    clock.now += SHORT
    has_it = _taken_by_another(turns)
    assert not has_it.wait(5 * SHORT)
    turn.step_over(goes_on=False)
    assert has_it.wait(PATIENCE)


def test_who_lost_the_turn_during_a_body_does_not_get_that_of_another_one(clock: Clock) -> None:
    turns = Turns()
    first, second = (Bookkeeping(turns, keeps=True) for _ in range(2))
    turns.take()
    assert turns.keep(first)
    clock.now += SHORT
    turns.take()
    assert turns.keep(second)
    assert not turns.resume(first)
    assert turns.resume(second)
    turns.give_away()
    assert _is_free(turns)


def test_a_turn_kept_by_a_step_without_a_body_is_given_away_whole(clock: Clock) -> None:
    turns = Turns()
    turn = Bookkeeping(turns, keeps=True)
    _step(turn, clock, 0, lambda: None)
    with turn:
        pass
    turn.step_over(goes_on=False)
    turns.take()
    assert not turns.resume(turn), "it is another one's"
    turns.give_away()


@pytest.mark.parametrize("keeps", [True, False])
def test_a_step_without_a_body_gives_the_turn_away_once(*, keeps: bool) -> None:
    turns = Turns()
    turn = Bookkeeping(turns, keeps=keeps)
    for goes_on in (True, True, False):
        with turn:
            assert not _is_free(turns)
        turn.step_over(goes_on=goes_on)
    assert _is_free(turns)


@pytest.mark.parametrize("keeps", [True, False])
def test_an_error_does_not_lose_the_turn(*, keeps: bool) -> None:
    """Else all other slots wait for ever."""
    turns = Turns()
    turn = Bookkeeping(turns, keeps=keeps)
    for _ in range(3):
        for _ in range(2):
            with pytest.raises(OSError, match="disk"), turn:
                raise OSError("disk")
        turn.step_over(goes_on=False)
        assert _is_free(turns)


@pytest.mark.parametrize("seed", range(4))
def test_one_supervisor_at_a_time_has_the_turn_and_each_gets_it(seed: int) -> None:
    """Some bodies are short; in others all wait until each supervisor is in one."""
    count, rounds = 4, 12
    turns, is_one = Turns(), threading.Lock()
    together = threading.Barrier(count)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        turn = Bookkeeping(turns, keeps=True)
        try:
            for _ in range(rounds):
                for _ in range(chance.randrange(8)):
                    _one(turn, is_one, lambda: None, has_body=chance.random() < 0.8)
                _one(turn, is_one, lambda: together.wait(PATIENCE))
            turn.step_over(goes_on=False)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert not errors
    assert _is_free(turns)


def _one(
    turn: Bookkeeping, is_one: threading.Lock, body: Callable[[], object], *, has_body: bool = True
) -> None:
    for part in (None, body) if has_body else (None,):
        if part is not None:
            part()
        with turn:
            assert is_one.acquire(blocking=False), "two have the turn"
            is_one.release()
    turn.step_over(goes_on=True)
