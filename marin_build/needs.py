"""What a step takes of the machine it runs on: one vocabulary of amounts. Pure.

name     counted in
cpu      thousandths of a core
ram      bytes
gpu      devices
tpu      chips
others   whatever the author of a named budget counts: whole numbers
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.names import BUDGET_NAME

if TYPE_CHECKING:
    from marin_build.resources import ResourceConfig
    from marin_build.step_spec import StepSpec

Needs = tuple[tuple[str, int], ...]
"""Amounts by name, sorted: steps with equal ones can stand in for each other."""

CPU, RAM, GPU, TPU = "cpu", "ram", "gpu", "tpu"
CORE = 1000
USUAL: Needs = ((CPU, CORE),)
"""What a step takes that declares nothing."""
_BYTES = {"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)(Ki|Mi|Gi|Ti|)", re.ASCII)


def needs_of(step: StepSpec) -> Needs:
    """Return what one host of a step takes.

    Without declared `cpu` that is one core, without declared `ram` none. What stands both in its
    resources and in its budgets counts once, the larger one.
    """
    if step.resources is None and not step.budgets:
        return USUAL
    found = dict(USUAL) if step.resources is None else _of_resources(step.resources)
    for name, amount in step.budgets.items():
        found[name] = max(amount * CORE if name == CPU else amount, found.get(name, 0))
    return tuple(sorted(found.items()))


def _of_resources(resources: ResourceConfig) -> dict[str, int]:
    from marin_build.resources import GpuDevice, TpuDevice

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
    from marin_build.resources import TpuDevice

    resources = step.resources
    if resources is None:
        return 1
    if isinstance(resources.device, TpuDevice):
        return resources.device.hosts * resources.device.slice_count
    return resources.replicas


def parse_amount(name: str, text: object) -> int:
    """Return an amount as it is counted: `1.5` of `cpu` is 1500, `16Gi` of `ram` so many bytes.

    Raises:
        UsageError: it is none.

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
