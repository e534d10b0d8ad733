"""Amounts that a machine offers, amounts that steps take, and steps that can never run. Pure.

    name     counted in
    cpu      thousandths of a core
    ram      bytes
    gpu      devices
    tpu      chips
    others   whole numbers of a named budget, in the units of its author

A budget without an amount does not limit. A step that asks for more `cpu` or `ram` than there is
runs alone; one that asks for more of anything else is blocked, and so is each step that needs it.
"""

from __future__ import annotations

import math
import re
from dataclasses import field, replace
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.pipeline.names import BUDGET_NAME
from marin_build.plan import block_reasons as blocks
from marin_build.plan.decisions import Decision, Kind
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.block_reasons import BlockReason
    from marin_build.plan.decisions import Plan


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware that was found on a machine.

    Args:
        cores: how many this process may use.
        ram: bytes of memory; None if that cannot be read.
        gpus: the name of each device in CUDA_VISIBLE_DEVICES.
        chips: how many TPU chips there are.

    """

    cores: int
    ram: int | None = None
    gpus: tuple[str, ...] = ()
    chips: int = 0


def _nowhere(_device: str) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """The amounts that steps may take together.

    Args:
        machine: the hardware that was found.
        given: the user's own amounts, by name, in the units above; they win over `machine`.
        elsewhere: returns the names of the engines that run steps with an accelerator, `gpu` or
            `tpu`, or without one, on other machines; called only if a step cannot run here.

    """

    machine: Machine
    given: Mapping[str, int]
    elsewhere: Callable[[str], tuple[str, ...]] = field(default=_nowhere, compare=False)

    def amounts(self, jobs: int) -> dict[str, int]:
        """Return each amount by name, where `jobs` steps run at once: at least `jobs` cores."""
        machine = self.machine
        found = {CPU: max(jobs, machine.cores) * CORE, GPU: len(machine.gpus), TPU: machine.chips}
        if machine.ram is not None:
            found[RAM] = machine.ram
        return {**found, **self.given}

    @property
    def gpus(self) -> tuple[str, ...]:
        """The names of the GPUs: as many as the user gave, those that were found first."""
        found = self.machine.gpus
        wanted = self.given.get(GPU, len(found))
        others = (name for name in map(str, range(wanted + len(found))) if name not in found)
        return (*found[:wanted], *(next(others) for _ in range(wanted - len(found))))


@dataclass(frozen=True, slots=True)
class Limits:
    """The amounts that some targets may take together; each also takes one slot of `-j`.

    Args:
        amounts: how much there is, by name.
        needs: how much of it each target takes, by index: never more than there is.

    """

    amounts: Mapping[str, int]
    needs: Mapping[int, Needs]


def limits_of(capacity: Capacity, steps: Mapping[int, StepSpec], jobs: int) -> Limits | None:
    """Return the limits of some steps that run `jobs` at once; None if only `jobs` limits them."""
    declared = {index: needs_of(step) for index, step in steps.items()}
    if CPU not in capacity.given and all(needs == USUAL for needs in declared.values()):
        return None
    amounts = capacity.amounts(jobs)
    return Limits(amounts, {index: _limited(needs, amounts) for index, needs in declared.items()})


def _limited(needs: Needs, amounts: Mapping[str, int]) -> Needs:
    """Return the limited needs, at most as much as there is; a TPU is taken as a whole."""
    return tuple(
        (name, amounts[name] if name == TPU else min(amount, amounts[name]))
        for name, amount in needs
        if name in amounts
    )


def unmet(step: StepSpec, capacity: Capacity) -> BlockReason | None:
    """Return why a step can never run here; None if it can."""
    needs = needs_of(step)
    if (hosts := hosts_of(step)) > 1:
        device = next((name for name, _ in needs if name in {GPU, TPU}), "")
        return blocks.SeveralHosts(hosts, capacity.elsewhere(device))
    amounts = capacity.amounts(1)
    for name, needed in needs:
        if name in {CPU, RAM} or needed <= amounts.get(name, needed):
            continue
        if name in {GPU, TPU}:
            return blocks.DeviceMissing(name, needed, amounts[name], capacity.elsewhere(name))
        return blocks.OverBudget(name, needed, amounts[name])
    return None


Needs = tuple[tuple[str, int], ...]
"""Amounts by name, sorted: steps with equal ones can stand in for each other."""

CPU, RAM, GPU, TPU = "cpu", "ram", "gpu", "tpu"
CORE = 1000
USUAL: Needs = ((CPU, CORE),)
"""The needs of a step that declares none."""
_BYTES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|)", re.ASCII)


def needs_of(step: StepSpec) -> Needs:
    """Return the amounts that one host of a step takes.

    A step without declared `cpu` takes one core, one without declared `ram` no memory. Of an amount
    that is declared both in its resources and in its budgets, the larger one counts.
    """
    if step.resources is None and not step.budgets:
        return USUAL
    found = dict(USUAL) if step.resources is None else _of_resources(step.resources)
    for name, amount in step.budgets.items():
        found[name] = max(amount * CORE if name == CPU else amount, found.get(name, 0))
    return tuple(sorted(found.items()))


def limited_kinds(step: StepSpec) -> tuple[str, ...]:
    """Return the names of what a step takes beside cores, sorted: `gpu`, `ram`, a budget's.

    Steps that take more cores than there are get slow; what takes too much of these fails.
    """
    return tuple(name for name, _ in needs_of(step) if name != CPU)


def _of_resources(resources: ResourceConfig) -> dict[str, int]:
    from marin_build.pipeline.resources import GpuDevice, TpuDevice

    found = {CPU: math.ceil((resources.cpu or 1) * CORE)}
    if resources.ram is not None:
        found[RAM] = parse_amount(RAM, resources.ram)
    match resources.device:
        case GpuDevice(count=count):
            found[GPU] = count
        case TpuDevice(chips_per_host=chips):
            found[TPU] = chips
    return found


def hosts_of(step: StepSpec) -> int:
    """Return how many machines a step runs on at once."""
    from marin_build.pipeline.resources import TpuDevice

    resources = step.resources
    if resources is None:
        return 1
    if isinstance(resources.device, TpuDevice):
        return resources.device.hosts * resources.device.slice_count
    return resources.replicas


def parse_amount(name: str, text: object) -> int:
    """Return an amount as it is counted: `1.5` of `cpu` is 1500, `16Gi` of `ram` so many bytes.

    Raises:
        UsageError: the name or the amount is not legal.

    """
    if not BUDGET_NAME.fullmatch(name):
        raise UsageError(f"`{name}` is no name of a budget: letters, digits, `.`, `_`, `-`")
    found = None if isinstance(text, bool) else _AMOUNT.fullmatch(str(text))
    if found is not None:
        number, unit = float(found[1]), found[2]
        if name == CPU and not unit and number:
            return math.ceil(number * CORE)
        if name == RAM and number:
            return math.ceil(number * _BYTES[unit])
        if name not in {CPU, RAM} and not unit and number == int(number):
            return int(number)
    kind = {CPU: "a number of cores, `1.5`", RAM: "bytes, `16Gi`"}.get(name, "a whole number")
    raise UsageError(f"the budget `{name}` is {kind}, not `{text}`")


def _always(_step: StepSpec) -> bool:
    return True


def fit(
    plan: Plan,
    capacity: Callable[[], Capacity],
    is_here: Callable[[StepSpec], bool] = _always,
) -> Plan:
    """Return the plan with the steps BLOCKED that cannot run on a machine.

    A target that another run builds now is not checked: this run only waits for it.

    Args:
        plan: for any machine.
        capacity: what the machine has; asked for only if a step to build declares what it needs.
        is_here: whether a step is built on the machine; what runs elsewhere is not checked.

    """
    targets = plan.targets
    with_needs = targets.traits.with_needs
    asking = [
        decision.index
        for decision in (plan.of_kind(Kind.RUN) if with_needs else ())
        if decision.index in with_needs and is_here(targets.all[decision.index].step)
    ]
    if not asking:
        return plan
    here = capacity()
    refused = {i: reason for i in asking if (reason := unmet(targets.all[i].step, here))}
    if not refused:
        return plan
    blocked: dict[int, Decision] = {}
    for decision in plan.decisions:  # topological: dependencies come first
        if decision.kind not in (Kind.RUN, Kind.WAIT):
            continue
        index = decision.index
        above = next((dep for dep in targets.deps[index] if dep in blocked), None)
        if index in refused:
            blocked[index] = _blocked(decision, refused[index])
        elif above is not None:
            reason = blocks.UpstreamBlocked(targets.all[above].id)
            blocked[index] = _blocked(decision, reason)
    return replace(plan, decisions=tuple(blocked.get(d.index, d) for d in plan.decisions))


def _blocked(decision: Decision, reason: BlockReason) -> Decision:
    """Return a decision as BLOCKED that still knows why the target was to be built."""
    return replace(decision, kind=Kind.BLOCKED, reason=reason, changed=decision.root)
