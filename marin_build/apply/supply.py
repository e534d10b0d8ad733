"""What the targets of a run take of this machine, and which devices each of them gets. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.capacity import unmet
from marin_build.explain import describe
from marin_build.needs import CPU, GPU, TPU, USUAL, needs_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from marin_build.capacity import Capacity
    from marin_build.fingerprint import Targets
    from marin_build.needs import Needs


class Supply:
    """What this machine gives to the targets of a run; `refusals`: to which it cannot, and why.

    Args:
        capacity: what it has; None: nothing is counted, and no device is given out.
        targets: those of the pipeline.
        to_build: those of the run.
        jobs: how many run at once.

    """

    def __init__(
        self, capacity: Capacity | None, targets: Targets, to_build: Iterable[int], jobs: int
    ) -> None:
        self.amounts: Mapping[str, int] = {}
        self.needs: Mapping[int, Needs] | None = None
        self.refusals: dict[int, str] = {}
        self._free_gpus = list(capacity.gpus) if capacity is not None else []
        self._taken: dict[int, tuple[str, ...]] = {}
        if capacity is not None:
            self.amounts = capacity.amounts(jobs)
            declared = {i: needs_of(targets.all[i].step) for i in to_build}
            for index, needs in declared.items():
                # The plan blocks such steps, but not those that somebody else builds just now.
                if needs != USUAL and (reason := unmet(targets.all[index].step, capacity)):
                    self.refusals[index] = describe(reason)
            limits = CPU in capacity.given or any(needs != USUAL for needs in declared.values())
            if limits:
                self.needs = {i: self._limited(needs) for i, needs in declared.items()}

    def _limited(self, needs: Needs) -> Needs:
        """Return what is limited of it, at most what there is: a TPU only as a whole."""
        there = self.amounts
        return tuple(
            (name, there[name] if name == TPU else min(amount, there[name]))
            for name, amount in needs
            if name in there
        )

    def take_gpus(self, index: int) -> tuple[str, ...]:
        """Return the devices that a target gets, the first free ones."""
        wanted = dict((self.needs or {}).get(index, ())).get(GPU, 0)
        taken, self._free_gpus = tuple(self._free_gpus[:wanted]), self._free_gpus[wanted:]
        if taken:
            self._taken[index] = taken
        return taken

    def give_back(self, index: int) -> None:
        """Take back the devices of a target that does not run any more."""
        if (taken := self._taken.pop(index, None)) is not None:
            self._free_gpus = sorted([*self._free_gpus, *taken], key=lambda name: (len(name), name))
