"""The events of a run as an iterator: the run is in a thread of its own."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.apply.events import Event

    OnStart = Callable[[Callable[[], None]], None]
    Run = Callable[[Callable[[Event], None], OnStart], object]


def stream_events(run: Run) -> Iterator[Event]:
    """Yield the events of a run, and raise afterwards what it raised.

    Args:
        run: called in a thread with two functions: the first takes each event, the second takes
            a function that ends the run in good order.

    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    raised: list[BaseException] = []
    interrupts: list[Callable[[], None]] = []
    is_left = threading.Event()

    def begin(interrupt: Callable[[], None]) -> None:
        interrupts.append(interrupt)
        if is_left.is_set():
            interrupt()

    def work() -> None:
        try:
            run(events.put, begin)
        except BaseException as error:  # noqa: BLE001 - the consumer's thread raises it
            raised.append(error)
        finally:
            events.put(None)

    thread = threading.Thread(target=work, name="marin-build apply")
    thread.start()
    try:
        while (event := events.get()) is not None:
            yield event
    except BaseException:
        is_left.set()
        for interrupt in interrupts:
            interrupt()
        raise
    finally:
        thread.join()
    if raised:
        raise raised[0]
