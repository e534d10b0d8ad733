"""Many requests at once, in one event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable


T = TypeVar("T")
R = TypeVar("R")


async def gather(one: Callable[[T], Awaitable[R]], items: Iterable[T], at_once: int) -> list[R]:
    """Return what `one` returns for each item, in order; the first error ends the others.

    Args:
        one: makes a request.
        items: what it is called with.
        at_once: how many requests are under way at a time.

    """
    todo = list(enumerate(items))
    results: dict[int, R] = {}
    queue = iter(todo)

    async def work() -> None:
        for index, item in queue:
            results[index] = await one(item)

    workers = [asyncio.ensure_future(work()) for _ in range(min(at_once, len(todo)))]
    try:
        await asyncio.gather(*workers)
    except BaseException:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        raise
    return [results[index] for index in range(len(todo))]
