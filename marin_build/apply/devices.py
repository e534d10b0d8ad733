"""What the targets of a run take of this machine, and which devices each of them gets. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.plan.capacity import GPU, USUAL, Limits, limits_of, needs_of, unmet
from marin_build.plan.reason_text import describe

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.capacity import Capacity


_PLACE, _QUEUE = "a place on this machine", "a place in the queue of"
"""Names that no budget can have."""


@dataclass(frozen=True, slots=True)
class Queued:
    """The targets of a run that queues of engines build; they take nothing of this machine.

    Args:
        engines: target -> the engine whose queue builds it.
        most: engine -> how many of its jobs may wait or run at once.

    """

    engines: Mapping[int, str] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)


NOTHING_QUEUED = Queued()


class Devices:
    """What this machine has for the targets of a run, and which GPUs each of them has.

    Args:
        capacity: what it has; None: nothing is counted, and no device is given out.
        targets: those of the pipeline.
        to_build: those of the run.
        jobs: how many run on this machine at once.
        queued: those of the run that queues of engines build.

    Attributes:
        limits: what the targets may take together; None: nothing is counted.
        refusals: target -> why this machine cannot give it what it needs.

    """

    def __init__(
        self,
        capacity: Capacity | None,
        targets: Targets,
        to_build: Collection[int],
        jobs: int,
        queued: Queued = NOTHING_QUEUED,
    ) -> None:
        self.limits: Limits | None = None
        self.refusals: dict[int, str] = {}
        self._free_gpus = list(capacity.gpus) if capacity is not None else []
        self._taken: dict[int, tuple[str, ...]] = {}
        if capacity is not None:
            steps = {i: targets.all[i].step for i in to_build if i not in queued.engines}
            self.limits = limits_of(capacity, steps, jobs)
            for index, step in steps.items():
                # The plan blocks such steps, but not those that another run builds just now.
                if needs_of(step) != USUAL and (reason := unmet(step, capacity)):
                    self.refusals[index] = describe(reason)
        if queued.engines:
            self.limits = _with_places(self.limits, to_build, jobs, queued)

    def take_gpus(self, index: int) -> tuple[str, ...]:
        """Reserve the first free GPUs for a target that starts; return their names."""
        needs = self.limits.needs.get(index, ()) if self.limits is not None else ()
        wanted = dict(needs).get(GPU, 0)
        taken, self._free_gpus = tuple(self._free_gpus[:wanted]), self._free_gpus[wanted:]
        if taken:
            self._taken[index] = taken
        return taken

    def give_back(self, index: int) -> None:
        """Free the GPUs of a target that does not run any more."""
        if (taken := self._taken.pop(index, None)) is not None:
            self._free_gpus = sorted([*self._free_gpus, *taken], key=lambda name: (len(name), name))


def _with_places(
    limits: Limits | None, to_build: Iterable[int], jobs: int, queued: Queued
) -> Limits:
    """Return limits by which a target takes a place on this machine, or one in its queue."""
    amounts = dict(limits.amounts) if limits is not None else {}
    needs = limits.needs if limits is not None else {}
    here = ((_PLACE, 1),)
    there = {index: ((f"{_QUEUE} {name}", 1),) for index, name in queued.engines.items()}
    return Limits(
        {**amounts, _PLACE: jobs, **{f"{_QUEUE} {name}": n for name, n in queued.most.items()}},
        {i: there[i] if i in there else (*needs.get(i, ()), *here) for i in to_build},
    )
