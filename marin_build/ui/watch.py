"""What open pages show: read in the background, once for all pages that show it.

A page keeps the number of the last change that it knows, and asks for what is new since. So a page
that was away for a while, and one that was just opened, are served alike.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from marin_build.errors import MarinBuildError
from marin_build.pauses import doubled
from marin_build.text.readable import shortened
from marin_build.ui.blocking import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_LOOK_AFAR_EVERY = 3.0
_LOOK_AFAR_SELDOM = 15.0
"""Seconds between two looks at a bucket: at first, and if nothing changes for a while."""
_REMEMBERED = 10.0
"""Seconds for which something is read that no page shows any more: pages are loaded again."""


class Watch(ABC):
    """Something that is read again and again. All methods but `read` are called by the loop."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(4)
        """Tells the numbers of this watch from those of a former one of the same thing."""
        self.number = 0
        """Of the newest change."""
        self.trouble = ""
        """Why the last look failed, in words; empty if it did not."""
        self.lookers = 0
        self._quiet = 0  # looks in a row that showed nothing new
        self._bells: set[asyncio.Event] = set()

    @abstractmethod
    def read(self) -> object:
        """Look at it, in a thread that may block.

        Raises:
            StoreError: it cannot be read; it is tried again.

        """

    @abstractmethod
    def take(self, found: Any) -> bool:
        """Take what `read` returned; return whether it was new. `number + 1` is that change."""

    @abstractmethod
    def since(self, number: int) -> dict[str, Any]:
        """Return what is new since a change, as JSON values; after 0: all."""

    @property
    @abstractmethod
    def pause(self) -> float | None:
        """Seconds until the next look; None: as for a bucket."""

    async def wait_for_change(self, number: int, most: float) -> bool:
        """Wait until there is a change after `number`; return False if none came in time."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            if self.number <= number:
                with suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), most)
            return self.number > number
        finally:
            self._bells.discard(bell)

    async def follow(self) -> None:
        """Look at it again and again, until this is cancelled."""
        while True:
            await self._look()
            pause = None if self.trouble else self.pause
            if pause is None:
                pause = doubled(self._quiet + 1, _LOOK_AFAR_EVERY, _LOOK_AFAR_SELDOM)
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        before = self.trouble
        try:
            is_new = self.take(await in_thread(self.read))
            self.trouble = ""
        except MarinBuildError as error:
            is_new, self.trouble = False, error.with_reason
        except Exception as error:  # noqa: BLE001 - nothing that is read ends the server
            kind = type(error).__name__
            is_new, self.trouble = False, f"a bug in marin-build: {kind}: {shortened(str(error))}"
        self._quiet = 0 if is_new else self._quiet + 1
        if is_new or self.trouble != before:
            self.number += 1
            for bell in self._bells:
                bell.set()


W = TypeVar("W", bound=Watch)


class Watches:
    """All that open pages show now, by name."""

    def __init__(self) -> None:
        self._all: dict[str, tuple[Watch, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def looking_at(self, what: str, make: Callable[[], W]) -> AsyncIterator[W]:
        """Look at something: it is read as long as a page shows it, and a moment longer.

        Args:
            what: its name; what has one name is made in one way.
            make: makes it, if no page shows it yet.

        """
        watch = cast("W", self._all[what][0]) if what in self._all else self._begin(what, make())
        watch.lookers += 1
        try:
            yield watch
        finally:
            watch.lookers -= 1
            if not watch.lookers:
                asyncio.get_running_loop().call_later(_REMEMBERED, self._forget, what, watch)

    def _begin(self, what: str, watch: W) -> W:
        self._all[what] = watch, asyncio.create_task(watch.follow())
        return watch

    def _forget(self, what: str, watch: Watch) -> None:
        found = self._all.get(what)
        if found is not None and found[0] is watch and not watch.lookers:
            found[1].cancel()
            del self._all[what]
