"""What the replay of a plan asks of workers, target by target."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.apply.waiting import Holders, seen_by
from marin_build.run_step.workers import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from marin_build.apply.devices import Devices
    from marin_build.apply.events import Event
    from marin_build.plan.decisions import Plan
    from marin_build.plan.outcomes import Held
    from marin_build.run_step.session import Session


class PlanRequests:
    """The requests of one run.

    Args:
        plan: what is built.
        session: the run.
        devices: what this machine gives to each target.
        on_event: called when a target is waited for.
        wake: called, by another thread, when a held target may be free.
        queued: targets that jobs of a queue build: their time counts from where they start.

    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        devices: Devices,
        on_event: Callable[[Event], None],
        wake: Callable[[], None],
        queued: Collection[int] = (),
    ) -> None:
        self._plan = plan
        self._queued = queued
        self._forced = session.forced
        self._devices = devices
        self._holders = Holders(plan, session, on_event, wake)
        self._nonce_root, self._nonce_count = os.urandom(8).hex(), 0
        self._unread = seen_by(plan)  # what the snapshot has is not read again

    @property
    def next_look(self) -> float:
        """When to look again at targets that other runs hold: seconds of the monotonic clock."""
        return self._holders.next_look

    def start(self, index: int, now: float) -> Start:
        """Return the request to build a target; reserve its devices."""
        self._nonce_count += 1
        return Start(
            index,
            f"{self._nonce_root}{self._nonce_count:x}",
            self._holders.stale_version(index, now),
            self._unread.pop(index, None),
            force=index in self._forced,
            forced_over=self._plan.snapshot.of(index).status_version,
            gpus=self._devices.take_gpus(index),
            timeout=None if index in self._queued else self._plan.targets.all[index].step.timeout,
            refusal=self._devices.refusals.get(index, ""),
        )

    def ended(self, index: int) -> None:
        """Free the devices of a target."""
        self._devices.give_back(index)

    def held(self, index: int, by: Held, now: float) -> None:
        """Watch the lease of another run."""
        self._holders.met(index, by.lease, by.version, now)

    def freed(self, held: Iterable[int], now: float) -> list[int]:
        """Return those of the held targets that their holders finished or abandoned."""
        return self._holders.freed(held, now)
