"""What a page hears while it is open: Server-Sent Events, which a browser takes up again itself.

Each event has the name of its watch and the number of the change it brings. A browser that lost the
connection sends the last of these back, and gets what is new since; from another watch it gets all.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import PlainTextResponse, Response, StreamingResponse

from marin_build.emit.quoting import inline_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from starlette.requests import Request

    from marin_build.ui.site import Site
    from marin_build.ui.watch import W, Watches


T = TypeVar("T")

_EVENTS = "text/event-stream"
_MOST_STREAMS = 64
"""Pages that may listen at once. A browser opens at most six for one server."""
_HEARTBEAT = 10.0
"""Seconds after which the server tells a page that nothing is new, to show that it lives."""
_PAUSE = 0.25
"""Seconds between two events of a stream; what changes meanwhile is sent together."""
_TRY_AGAIN = 1000
"""Milliseconds after which a browser connects again."""


class Streams:
    """Answers the pages that listen.

    Args:
        site: removes secrets from what is sent.
        watches: what is looked at.

    """

    def __init__(self, site: Site, watches: Watches) -> None:
        self._site, self._watches = site, watches
        self._open = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all streams, as the server ends."""
        self._closing.set()

    def answer(self, request: Request, what: str, make: Callable[[], W]) -> Response:
        """Return the answer that goes on as long as the page listens.

        Args:
            request: of the page.
            what: the name of what it looks at.
            make: makes that, if no page shows it yet.

        """
        if request.method == "HEAD":
            return Response(media_type=_EVENTS)
        if self._open >= _MOST_STREAMS:
            return PlainTextResponse("too many pages listen to this server\n", 503)
        last = request.headers.get("last-event-id") or request.query_params.get("after", "")
        return StreamingResponse(self._events(what, make, last), media_type=_EVENTS)

    async def _events(self, what: str, make: Callable[[], W], last: str) -> AsyncIterator[str]:
        self._open += 1
        try:
            yield f"retry: {_TRY_AGAIN}\n\n"
            async with self._watches.looking_at(what, make) as watch:
                name, _, number = last.partition(".")
                known = int(number) if name == watch.name and number.isdecimal() else 0
                while not self._closing.is_set():
                    if watch.number > known:
                        values = watch.since(known)
                        known = watch.number
                        yield self._event(f"{watch.name}.{known}", values)
                        await self._wait(asyncio.sleep(_PAUSE))
                    elif not await self._wait(watch.wait_for_change(known, _HEARTBEAT)):
                        yield "event: alive\ndata: \n\n"
        finally:
            self._open -= 1

    async def _wait(self, what: Coroutine[Any, Any, T]) -> T | None:
        """Return what something gives; None if the server ends before that."""
        waiting = asyncio.ensure_future(what)
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((waiting, closing), return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            closing.cancel()

    def _event(self, id_: str, values: dict[str, Any]) -> str:
        return f"id: {id_}\ndata: {inline_json(self._site.cleaned(values))}\n\n"
