"""What a machine has for steps, and which steps ask it for more than it can give. Pure.

What is named nowhere does not limit. A step that asks for more `cpu` or `ram` than there is runs
alone; one that asks for more of anything else cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build import reasons as why
from marin_build.needs import CORE, CPU, GPU, RAM, TPU, USUAL, hosts_of, needs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.needs import Needs
    from marin_build.reasons import BlockReason
    from marin_build.step_spec import StepSpec


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found on a machine.

    Args:
        cores: those that this process may use.
        ram: bytes; None if that cannot be read.
        gpus: what each device is called in CUDA_VISIBLE_DEVICES.
        chips: of a TPU.

    """

    cores: int
    ram: int | None = None
    gpus: tuple[str, ...] = ()
    chips: int = 0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What steps may take together.

    Args:
        machine: what was found.
        given: what the user says there is, in the amounts of needs.py; it wins over what was found.

    """

    machine: Machine
    given: Mapping[str, int]

    def amounts(self, jobs: int) -> dict[str, int]:
        """Return what there is where `jobs` steps run at once: so many cores at least."""
        machine = self.machine
        found = {CPU: max(jobs, machine.cores) * CORE, GPU: len(machine.gpus), TPU: machine.chips}
        if machine.ram is not None:
            found[RAM] = machine.ram
        return {**found, **self.given}

    @property
    def gpus(self) -> tuple[str, ...]:
        """The devices, as many as there are said to be: those found first."""
        found = self.machine.gpus
        wanted = self.given.get(GPU, len(found))
        others = (name for name in map(str, range(wanted + len(found))) if name not in found)
        return (*found[:wanted], *(next(others) for _ in range(wanted - len(found))))


@dataclass(frozen=True, slots=True)
class Limits:
    """What some targets may take together, beside a slot each.

    Args:
        amounts: what there is, by name.
        needs: what each target takes of it: never more than there is.

    """

    amounts: Mapping[str, int]
    needs: Mapping[int, Needs]


def limits_of(capacity: Capacity, steps: Mapping[int, StepSpec], jobs: int) -> Limits | None:
    """Return what limits some steps, at most `jobs` at once; None if only that does."""
    declared = {index: needs_of(step) for index, step in steps.items()}
    if CPU not in capacity.given and all(needs == USUAL for needs in declared.values()):
        return None
    amounts = capacity.amounts(jobs)
    return Limits(amounts, {index: _limited(needs, amounts) for index, needs in declared.items()})


def _limited(needs: Needs, amounts: Mapping[str, int]) -> Needs:
    """Return what is limited of it, at most what there is: a TPU only as a whole."""
    return tuple(
        (name, amounts[name] if name == TPU else min(amount, amounts[name]))
        for name, amount in needs
        if name in amounts
    )


def unmet(step: StepSpec, capacity: Capacity) -> BlockReason | None:
    """Return why a step can never run here; None if it can."""
    if (hosts := hosts_of(step)) > 1:
        return why.SeveralHosts(hosts)
    amounts = capacity.amounts(1)
    for name, needed in needs_of(step):
        if name in {CPU, RAM} or needed <= amounts.get(name, needed):
            continue
        if name in {GPU, TPU}:
            return why.DeviceMissing(name, needed, amounts[name])
        return why.OverBudget(name, needed, amounts[name])
    return None
