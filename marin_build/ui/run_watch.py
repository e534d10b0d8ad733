"""One run as it goes on, for all the pages that show it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from marin_build.ui.followed_run import FollowedRun, Seen
from marin_build.ui.run_facts import run_facts
from marin_build.ui.target_states import state_facts
from marin_build.ui.watch import Watch

if TYPE_CHECKING:
    from marin_build.apply.run_folder import RunDocument
    from marin_build.apply.run_summary import RunTarget
    from marin_build.operations.loading.place import Place


_LOOK_EVERY = 0.3
"""Seconds between two looks at a journal on a disk of this machine."""
_LOOK_SELDOM = 2.0
"""The same for a run that has ended: of one that died, the journal may be written on by nobody."""


class RunWatch(Watch):
    """Reads a run while it goes on.

    Args:
        place: the prefix and its store.
        run: the run's id.
        who: who ran it; None if that cannot be read.

    """

    def __init__(self, place: Place, run: str, who: RunDocument | None) -> None:
        super().__init__()
        self._followed = FollowedRun(place, run, who)
        self._seen: Seen | None = None
        self._targets: dict[str, tuple[int, RunTarget]] = {}
        """Target -> the number of its last change, and what is known; the newest change last."""

    def read(self) -> Seen:
        """Look at the journal, and at whether the run still goes on."""
        return self._followed.look()

    def take(self, found: Seen) -> bool:
        """Take what a look showed."""
        before, self._seen = self._seen, found
        number = self.number + 1
        for target in found.changed:
            self._note(number, target)
        if before is not None and found.run.is_over != before.run.is_over:
            for _, target in list(self._targets.values()):  # what ran, was interrupted
                if target.outcome in ("begun", "failed"):
                    self._note(number, target)
        return before is None or bool(found.changed) or _differs(before, found)

    def _note(self, number: int, target: RunTarget) -> None:
        self._targets.pop(target.target, None)
        self._targets[target.target] = number, target

    @property
    def pause(self) -> float | None:
        """Seconds until the next look; None: as for a bucket."""
        seen = self._seen
        if seen is None or not seen.is_whole:
            return 0.0
        if not seen.is_here:
            return None
        return _LOOK_SELDOM if seen.run.is_over else _LOOK_EVERY

    @property
    def expansions(self) -> int:
        """How often the run is known to have written its plan anew."""
        return self._seen.expansions if self._seen is not None else 0

    async def wait_until_whole(self) -> None:
        """Wait until the journal was read to its end once, or cannot be read."""
        number = 0
        while not (self.trouble or (self._seen is not None and self._seen.is_whole)):
            await self.wait_for_change(number, _LOOK_SELDOM)
            number = self.number

    def since(self, number: int) -> dict[str, Any]:
        """Return the facts about the run, and about the targets that changed after a change."""
        seen = self._seen
        if seen is None:
            return {"trouble": self.trouble}
        targets: dict[str, dict[str, Any]] = {}
        for id_, (changed, target) in reversed(self._targets.items()):
            if changed <= number:
                break
            targets[id_] = state_facts(target, is_over=seen.run.is_over)
        return {
            "run": run_facts(seen, now=time.time()),
            "targets": targets,
            "is_all": number == 0,
            "trouble": self.trouble,
        }


def _differs(before: Seen, now: Seen) -> bool:
    """Return whether a page shows something else than before, its targets aside."""
    return (before.run, before.expansions, before.said) != (now.run, now.expansions, now.said)
