"""Budgets: how much there is of what steps take, and a plan that fits this machine."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from marin_build.apply.events import Warned
    from marin_build.engines.base import Engine
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.capacity import Capacity
    from marin_build.plan.decisions import Plan


def check_budgets(given: Mapping[str, str]) -> None:
    """Refuse amounts that cannot be read.

    Args:
        given: by name: `cpu` in cores, `ram` in bytes, `16Gi`, any other a whole number.

    Raises:
        UsageError: an amount cannot be read.

    """
    if not given:
        return
    from marin_build.plan.capacity import parse_amount

    for name, amount in given.items():
        parse_amount(name, amount)


def unused_budgets(targets: Targets, given: Mapping[str, str]) -> list[Warned]:
    """Return a warning for each given budget that limits no step: a name may be mistyped."""
    names = given.keys() - {"cpu", "ram", "gpu", "tpu"}
    if not names:
        return []
    from marin_build.apply.events import Warned
    from marin_build.text.readable import did_you_mean

    known = {name for target in targets.all for name in target.step.budgets}
    return [
        Warned(f"no step takes from the budget `{name}`", did_you_mean(name, known) or "")
        for name in sorted(names - known)
    ]


def capacity_here(
    configured: Mapping[str, object], given: Mapping[str, str]
) -> Callable[[], Capacity]:
    """Return a function that reads, once, what this machine has; stated amounts replace it.

    Args:
        configured: name -> amount, as the configuration states it.
        given: the same of the command line; these win.

    """

    @cache
    def read() -> Capacity:
        from marin_build.engines.registry import engines_elsewhere
        from marin_build.observe.read_machine import read_machine
        from marin_build.plan.capacity import Capacity, parse_amount

        said = {**configured, **given}
        amounts = {name: parse_amount(name, amount) for name, amount in said.items()}
        return Capacity(read_machine(os.environ), amounts, cache(engines_elsewhere))

    return read


def fitted(plan: Plan, engine: Engine[Any], capacity: Callable[[], Capacity]) -> Plan:
    """Return the plan; steps that stay here, and that this machine can never run, are blocked."""
    if not plan.to_build:
        return plan
    from marin_build.plan.capacity import fit

    return fit(plan, capacity, engine.is_here)


def capacity_if_limited(
    steps: Collection[StepSpec], capacity: Callable[[], Capacity], said: Collection[str]
) -> Capacity | None:
    """Return what this machine has if that can limit these steps to build; else None.

    It can if a step declares what it takes. A stated amount of `cpu` (`said`: the names of stated
    amounts) limits the other steps, too.
    """
    if "cpu" in said or any(step.resources is not None or step.budgets for step in steps):
        return capacity()
    return None
