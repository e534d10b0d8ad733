"""What is looked at is read once for all who look, and not at all when nobody does."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreError
from marin_build.ui import watch as watches
from marin_build.ui.blocking import in_thread
from marin_build.ui.refusals import Refusals
from marin_build.ui.watch import Watch, Watches

if TYPE_CHECKING:
    from collections.abc import Callable

FOREVER = 60.0


class Counted(Watch):
    """Counts; a look blocks until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Semaphore(0)
        self.looks = 0
        self.error: Exception | None = None

    def read(self) -> int:
        self.let_go.acquire(timeout=FOREVER)
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.looks

    def take(self, found: int) -> bool:
        return found > 0

    def since(self, number: int) -> dict[str, Any]:
        return {"number": number}

    @property
    def pause(self) -> float | None:
        return 0.0


def test_all_who_look_hear_of_one_reading() -> None:
    """Else ten tabs read a bucket ten times as often."""

    async def story() -> None:
        made = []

        def make() -> Counted:
            made.append(Counted())
            return made[-1]

        all_ = Watches()
        async with all_.looking_at("x", make) as one, all_.looking_at("x", make) as two:
            assert one is two
            heard = asyncio.gather(one.wait_for_change(0, FOREVER), two.wait_for_change(0, FOREVER))
            one.let_go.release()
            assert all(await heard)
            assert not await one.wait_for_change(one.number, 0.01)
        assert (len(made), made[0].looks) == (1, 1)

    asyncio.run(story())


def test_what_nobody_looks_at_any_more_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a tab that was open in the morning reads the bucket all day."""
    monkeypatch.setattr(watches, "_REMEMBERED", 0.0)

    async def story() -> None:
        all_ = Watches()
        async with all_.looking_at("x", Counted) as first:
            first.let_go.release(3)
            await first.wait_for_change(2, FOREVER)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait([task for task in others if task is not None])
        first.let_go.release(10)
        async with all_.looking_at("x", Counted) as second:
            assert second is not first
            assert second.name != first.name, "numbers of one mean nothing to the other"

    asyncio.run(story())


def test_a_store_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a page stands still, and nobody knows why."""
    monkeypatch.setattr(watches, "_LOOK_AFAR_EVERY", 0.0)

    async def story() -> None:
        all_ = Watches()
        async with all_.looking_at("x", Counted) as seen:
            seen.error = StoreError("cannot read gs://b", facts=[("reason", "503")])
            seen.let_go.release()
            assert await seen.wait_for_change(0, FOREVER)
            assert seen.trouble == "cannot read gs://b: 503"
            seen.error = None
            number = seen.number
            seen.let_go.release()
            assert await seen.wait_for_change(number, FOREVER)
            assert seen.trouble == ""

    asyncio.run(story())


def test_a_bug_is_told_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a page stands still for ever because of one file."""
    monkeypatch.setattr(watches, "_LOOK_AFAR_EVERY", 0.0)

    async def story() -> None:
        async with Watches().looking_at("x", Counted) as seen:
            seen.error = KeyError("no such thing")
            seen.let_go.release()
            assert await seen.wait_for_change(0, FOREVER)
            assert seen.trouble == "a bug in marin-build: KeyError: 'no such thing'"
            seen.error = None
            seen.let_go.release()
            assert await seen.wait_for_change(seen.number, FOREVER)

    asyncio.run(story())


def test_a_call_that_hangs_holds_up_nothing() -> None:
    """Else a bucket that does not answer stops all pages, and Ctrl-C too."""
    hangs = threading.Event()

    async def story() -> str:
        hanging = asyncio.ensure_future(in_thread(lambda: hangs.wait(FOREVER)))
        answer = await in_thread(lambda: "answered")
        hanging.cancel()
        return answer

    assert asyncio.run(story()) == "answered"
    hangs.set()


def test_errors_of_a_call_are_raised_where_it_is_awaited() -> None:
    def fail() -> None:
        raise StoreError("no")

    with pytest.raises(StoreError, match="no"):
        asyncio.run(in_thread(fail))


def test_a_page_cannot_flood_the_terminal() -> None:
    """Else what the server said before is gone."""
    now = [0.0]
    told: list[str] = []
    note: Callable[[str], None] = Refusals(told.append, lambda: now[0]).note
    for number in range(1000):
        note("the same")
        note(f"another {number}")
    note("\x1b[2J\n" + "x" * 1000)
    assert told.count("the same") == 1
    assert len(told) == 100
    now[0] = 61.0
    note("\x1b[2J\n" + "x" * 1000)
    assert told[-1].startswith("\\x1b[2J\\n")
    assert len(told[-1]) < 300


def test_a_terminal_that_was_closed_ends_no_page() -> None:
    """Else a server that outlives its terminal answers no request that it has to speak of."""

    def note(_: str) -> None:
        raise BrokenPipeError

    Refusals(note).note("GET was refused")
