"""What a machine has for steps, and which steps ask it for more than it can give. Pure.

What is named nowhere does not limit. A step that asks for more `cpu` or `ram` than there is runs
alone; one that asks for more of anything else cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build import reasons as why
from marin_build.needs import CORE, CPU, GPU, RAM, TPU, hosts_of, needs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

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
