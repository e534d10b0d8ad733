"""The runs under a prefix, as they come and end, for all the pages that list them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from marin_build.apply.run_folder import documents_of, kept_runs
from marin_build.operations.runs.kept_runs import read_runs
from marin_build.ui.followed_run import FollowedRun
from marin_build.ui.run_facts import row_facts
from marin_build.ui.watch import Watch

if TYPE_CHECKING:
    from marin_build.apply.run_folder import RunDocument
    from marin_build.operations.loading.place import Place
    from marin_build.operations.runs.kept_runs import KeptRun


MOST_RUNS = 100
"""How many runs are listed, those that began last."""
_LOOK_EVERY = 1.0
"""Seconds between two looks at a prefix on a disk."""
_SELDOM = 30.0
"""Seconds between two looks at a run that neither ends nor goes on, as far as is known."""


class RunsWatch(Watch):
    """Reads which runs there are. One that has ended is read once.

    Args:
        place: the prefix and its store.

    """

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._documents: dict[str, RunDocument | None] = {}
        self._over: dict[str, KeptRun] = {}
        self._followed: dict[str, tuple[FollowedRun, KeptRun | None, float]] = {}
        self._runs: tuple[KeptRun, ...] | None = None
        self._more = 0

    def read(self) -> tuple[tuple[KeptRun, ...], int]:
        """Return the runs that are listed, and how many older ones there are."""
        place = self._place
        ids = kept_runs(place.store, place.prefix)
        new = [id_ for id_ in ids if self._documents.get(id_) is None]
        self._documents |= documents_of(place.store, place.prefix, new)
        ids.sort(key=self._began, reverse=True)
        listed = ids[:MOST_RUNS]
        self._followed = {id_: it for id_, it in self._followed.items() if id_ in set(listed)}
        unread = {id_: self._documents[id_] for id_ in listed if self._is_unread(id_)}
        for run in read_runs(place, unread, whole=False):
            if run.is_over:
                self._over[run.id] = run
            else:
                followed = FollowedRun(place, run.id, self._documents[run.id])
                self._followed[run.id] = followed, None, 0.0
        return tuple(self._as_now(id_) for id_ in listed), len(ids) - len(listed)

    def _began(self, id_: str) -> tuple[str, str]:
        document = self._documents[id_]
        return document.start if document is not None else "", id_

    def _is_unread(self, id_: str) -> bool:
        return id_ not in self._over and id_ not in self._followed

    def _as_now(self, id_: str) -> KeptRun:
        """Return a run as it is now."""
        if (over := self._over.get(id_)) is not None:
            return over
        followed, known, due = self._followed[id_]
        now = time.monotonic()
        if known is not None and now < due:
            return known
        seen = followed.look()
        while not seen.is_whole:
            seen = followed.look()
        pause = 0.0 if seen.run.outcome == "running" else _SELDOM
        self._followed[id_] = followed, seen.run, now + pause
        if seen.run.is_over:
            del self._followed[id_]
            self._over[id_] = seen.run
        return seen.run

    def take(self, found: tuple[tuple[KeptRun, ...], int]) -> bool:
        """Take what a look showed."""
        is_new = (self._runs, self._more) != found
        self._runs, self._more = found
        return is_new

    @property
    def pause(self) -> float | None:
        """Seconds until the next look; None: as for a bucket."""
        return _LOOK_EVERY if self._place.store.is_local else None

    def since(self, number: int) -> dict[str, Any]:  # noqa: ARG002 - a list is short
        """Return all rows: those that go on first, then the one that began last."""
        now = time.time()
        rows = [row_facts(run, now) for run in self._runs or ()]
        rows.sort(key=lambda row: row["outcome"] != "running")
        return {
            "runs": rows if self._runs is not None else None,
            "more": self._more,
            "trouble": self.trouble,
        }
