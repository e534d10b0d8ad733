"""Events reach who shows them in one thread, in order, and none is left behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.apply.delivery import Delivery
from marin_build.apply.events import StillRunning

if TYPE_CHECKING:
    from marin_build.apply.events import Event


def _events(count: int) -> list[Event]:
    return [StillRunning(i, 0.0) for i in range(count)]


def test_outside_of_a_run_events_pass_at_once() -> None:
    told: list[Event] = []
    (event,) = _events(1)
    Delivery(told.append)(event)
    assert told == [event]


@given(st.lists(st.sampled_from(["event", "deliver"]), max_size=30))
def test_whatever_is_not_delivered_is_waited_for(moves: list[str]) -> None:
    """Else the last lines of a quiet run show when it ends."""
    told: list[Event] = []
    woken: list[float] = []
    delivery, sent = Delivery(told.append), _events(len(moves))
    due: float | None = None
    with delivery.awaited(lambda: woken.append(0.0)):
        for now, (move, event) in enumerate(zip(moves, sent, strict=True)):
            if move == "event":
                delivery(event)
            else:
                woken.clear()
                due = delivery.deliver(now)
            open_ = moves[: now + 1].count("event") - len(told)
            assert not open_ or woken or due is not None
    assert told == [event for move, event in zip(moves, sent, strict=True) if move == "event"]


def test_events_of_several_threads_are_passed_on_in_one() -> None:
    threads: set[int] = set()
    told: list[Event] = []

    def show(event: Event) -> None:
        threads.add(threading.get_ident())
        told.append(event)

    delivery, bell = Delivery(show), threading.Semaphore(0)

    def tell() -> None:
        for event in _events(200):
            delivery(event)

    with delivery.awaited(bell.release):
        tellers = [threading.Thread(target=tell) for _ in range(3)]
        for teller in tellers:
            teller.start()
        while any(teller.is_alive() for teller in tellers):
            delivery.deliver(0.0)
    assert threads == {threading.get_ident()}
    assert len(told) == 600
