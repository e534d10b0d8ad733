"""Calls that block, such as requests to a store, beside the loop that answers browsers."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from marin_build.store.slow_requests import silent

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def in_thread(call: Callable[[], T]) -> T:
    """Return what a call returns, or raise what it raises; the loop goes on meanwhile.

    Each call has a thread of its own that does not keep the process alive: a request that a store
    does not answer must hold up neither other requests nor the end of the server.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(set_it: Callable[[], None]) -> None:
        if not done.done():
            set_it()

    def work() -> None:
        try:
            with silent():  # pages say themselves what they wait for
                result = call()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
            caught = error
            set_it = lambda: done.set_exception(caught)  # noqa: E731
        else:
            set_it = lambda: done.set_result(result)  # noqa: E731
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, set_it)

    threading.Thread(target=work, name="blocking call", daemon=True).start()
    return await done
