"""Targets that the run waits for: failed ones to be tried again, and ones that others build."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from marin_build.apply.events import StepWaiting
from marin_build.apply.looker import LOOK_AGAIN_AFTER, Looker
from marin_build.pauses import doubled
from marin_build.pipeline.retries import Tries
from marin_build.protocol.look import Seen, Watch
from marin_build.protocol.state_machine import Event as Sight
from marin_build.protocol.state_machine import see
from marin_build.run_step.commit_retry import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.apply.events import Event
    from marin_build.apply.looker import View
    from marin_build.pipeline.retries import Cause, Verdict
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.protocol.lease import Lease
    from marin_build.run_step.session import Session


_FIRST_PAUSE = 0.02
"""Seconds until the first look at a target that only the kernel's lock keeps."""
REPORT_WAITING_EVERY = 20.0
"""Seconds between two messages about the same target that another run builds."""


def seen_by(plan: Plan) -> dict[int, Seen]:
    """Return what the snapshot saw of the targets that are not built."""
    seen: dict[int, Seen] = {}
    for index in plan.to_build:
        it = plan.snapshot.of(index)
        attempt = it.last.attempt if it.last is not None else None
        if it.lease is not None and not it.lease_version:
            seen[index] = Seen()  # who builds by the kernel's lock alone has left a note, no lease
        else:
            seen[index] = Seen(it.status, it.status_version, it.lease, it.lease_version, attempt)
    return seen


class Holders:
    """The leases of other runs on targets of this one.

    Args:
        plan: what is built.
        session: the run.
        on_event: called when the run waits for another run to build a target.
        wake: called, by another thread, when `freed` has something to return.

    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        on_event: Callable[[Event], None],
        wake: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._session = session
        self._on_event = on_event
        self._looker = Looker(session.store, wake)
        self._watched: dict[int, Watch] = {}
        self._lost: dict[int, float] = {}  # since when the store showed nothing of a target
        self._report_at: dict[int, float] = {}
        self._unannounced: dict[int, int] = {}  # how often it was met without a lease

    @property
    def next_look(self) -> float:
        """When to look again: seconds of the monotonic clock."""
        return self._looker.next_look

    def stale_version(self, index: int, now: float) -> str:
        """Return the version of a lease that was not renewed in time; empty if there is none."""
        watch = self._watched.get(index)
        return watch.version if watch is not None and watch.is_stale(now) else ""

    def met(self, index: int, lease: Lease, version: str, now: float) -> None:
        """Take note that a worker found a target held; the worker has reported its slot free.

        Args:
            index: which target.
            lease: its holder's.
            version: that of the lease; empty: the holder has only the kernel's lock so far.
            now: seconds of the monotonic clock.

        """
        if not version:  # only the kernel's lock is held so far: it is over soon, or is announced
            tries = self._unannounced[index] = self._unannounced.get(index, 0) + 1
            self._looker.look_within(now, doubled(tries, _FIRST_PAUSE, LOOK_AGAIN_AFTER))
            return
        self._report_at.pop(index, None)
        self._watch(index, lease, version, now)
        self._looker.put_off(now)

    def freed(self, held: Iterable[int], now: float) -> list[int]:
        """Return those of the held targets that were finished or abandoned; have them looked at.

        What is not readable is returned, too: a worker then says what is wrong with it.
        """
        waiting = set(held)
        free = [v.index for v in self._looker.views() if v.index in waiting and self._is_free(v)]
        if now >= self._looker.next_look:
            targets = self._plan.targets.all
            left = waiting.difference(free)
            self._looker.ask({index: targets[index].output_path for index in sorted(left)}, now)
        return free

    def _is_free(self, view: View) -> bool:
        """Return whether a worker can do something about a target.

        While the store shows nothing, nothing is known of the holder: he may be as cut off as we.
        """
        index = view.index
        if not view.is_lost:
            self._lost.pop(index, None)
            return view.seen is None or not self._is_held(index, view.seen, view.at)
        for watch in self._watched.values():
            watch.lose_sight()
        since = self._lost.setdefault(index, view.at)
        if view.seen is not None:
            del self._lost[index]
            return not self._is_held(index, view.seen, view.at)
        return view.at - since > LONGEST

    def _is_held(self, index: int, seen: Seen, now: float) -> bool:
        session = self._session
        if seen.lease is not None:
            self._watch(index, seen.lease, seen.lease_version, now)
        lease = seen.lease
        stale = lease is not None and (
            not session.is_worked_on(index, lease)
            if self._watched[index].is_stale(now)
            else session.is_abandoned(index, lease)
        )
        over = self._plan.snapshot.of(index).status_version
        force = index in session.forced and seen.status_version == over
        sight = see(seen, nonce="", stale=stale, force=force)
        return sight is Sight.SAW_HOLDER

    def _watch(self, index: int, lease: Lease, version: str, now: float) -> None:
        """Watch another run's lease; report it at first, and from time to time."""
        watch = self._watched.get(index)
        if watch is None:
            watch = self._watched[index] = Watch(lease, version, now)
        else:
            watch.look(lease, version, now)
        if now >= self._report_at.get(index, now):
            self._report_at[index] = now + REPORT_WAITING_EVERY
            target = self._plan.targets.all[index]
            waited = watch.unchanged_for(now)
            said = (lease.describe(), waited, lease.time_to_live)
            work = tuple(map(str, self._session.left_work(index, lease)))
            self._on_event(StepWaiting(target.name, target.id, *said, work))


class Delays:
    """The tries that targets have left, and which of them wait for the next one."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._targets = targets
        self._tries: dict[int, Tries] = {}
        self._due: list[tuple[float, int]] = []

    def failed(self, index: int, cause: Cause) -> Verdict:
        """Return what follows from a failure."""
        tries = self._tries.get(index)
        if tries is None:
            tries = self._tries[index] = Tries(self._targets[index].step.retries)
        return tries.failed(cause)

    def put(self, index: int, due: float) -> None:
        """Have a target wait for its next try."""
        heapq.heappush(self._due, (due, index))

    def pop(self, now: float) -> list[int]:
        """Return the targets that have waited long enough."""
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[1])
        return found

    @property
    def next_due(self) -> float | None:
        """When the next one has waited long enough; None if none waits."""
        return self._due[0][0] if self._due else None
