"""A run that is read as it goes on: what its journal says, and whether it still goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.apply.run_summary import GrowingSummary
from marin_build.operations.runs.kept_runs import judged_runs, kept_run
from marin_build.ui.journal_feed import JournalFeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.journal import Entry
    from marin_build.apply.run_folder import RunDocument
    from marin_build.apply.run_summary import RunTarget
    from marin_build.operations.loading.place import Place
    from marin_build.operations.runs.kept_runs import KeptRun


_JUDGE_EVERY = 1.0
_JUDGE_AFAR_EVERY = 10.0
"""Seconds between two looks at whether a run without an end still goes on, here and in a bucket."""
_MOST_SAID = 20
"""Warnings of a run that are remembered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at a run showed.

    Args:
        run: the run.
        changed: the targets of which something new is known, each as it is now.
        expanded: how many targets more are to be built than the run knew when it began.
        expansions: how often its plan was written anew.
        said: what it warned of last.
        is_here: whether its journal grows on a disk of this machine.
        is_whole: whether the journal was read to its present end.

    """

    run: KeptRun
    changed: tuple[RunTarget, ...] = ()
    expanded: int = 0
    expansions: int = 0
    said: tuple[str, ...] = ()
    is_here: bool = True
    is_whole: bool = False


class FollowedRun:
    """Looks at a run again and again; each look blocks as long as the store takes.

    Args:
        place: the prefix and its store.
        id_: the run's id.
        who: who ran it; None if that cannot be read.
        clock: seconds that only grow.

    """

    def __init__(
        self,
        place: Place,
        id_: str,
        who: RunDocument | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._id, self._who, self._clock = place, id_, who, clock
        self._feed = JournalFeed(place, id_)
        self._growing = GrowingSummary()
        self._judged_at = float("-inf")
        self._changed: dict[str, None] = {}  # targets of which something new is to be reported
        self._expansions = 0
        self._said: tuple[str, ...] = ()
        self._run = self._unjudged()

    def look(self) -> Seen:
        """Read what was added to the journal, up to some megabytes.

        Raises:
            StoreError: the bucket cannot be read. The next look goes on where this one began.

        """
        self._take(self._feed.look())
        if not self._feed.has_more:
            self._judge(is_new=bool(self._changed))
        changed, self._changed = self._changed, {}  # not before: a look that fails loses nothing
        return Seen(
            self._run,
            tuple(self._growing.targets[id_] for id_ in changed),
            self._growing.expanded,
            self._expansions,
            self._said,
            self._feed.is_here,
            not self._feed.has_more,
        )

    def _take(self, entries: list[Entry]) -> None:
        for entry in entries:
            if (id_ := self._growing.add(entry)) is not None:
                self._changed.pop(id_, None)
                self._changed[id_] = None
            elif entry.event == "apply_expanded":
                self._expansions += 1
            elif entry.event == "warned" and isinstance(entry.fields.get("message"), str):
                self._said = (*self._said, entry.fields["message"])[-_MOST_SAID:]

    def _judge(self, *, is_new: bool) -> None:
        """Find out whether it still goes on, if it is time to."""
        every = _JUDGE_EVERY if self._feed.is_here else _JUDGE_AFAR_EVERY
        is_due = self._clock() - self._judged_at >= every
        if not (is_due or is_new):
            return
        seen = self._unjudged()
        if is_due or seen.is_over:
            headers = {self._id: self._feed.head[0]} if self._feed.head is not None else {}
            self._run = judged_runs(self._place, {self._id: seen}, headers)[self._id]
            self._judged_at = self._clock()
        else:
            self._run = replace(seen, outcome=self._run.outcome, why=self._run.why)

    def _unjudged(self) -> KeptRun:
        head = self._feed.head
        summary = self._growing.so_far() if head is not None else None
        return kept_run(self._id, self._who, self._feed.path, head, summary)
