"""The Makefile and the build.ninja that replay a plan on this machine, several targets at once.

Facts: the manuals of GNU make and ninja.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import later_lines
from marin_build.plan.capacity import limited_kinds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.plan.document import PlanDocument


@dataclass(frozen=True, slots=True)
class Pool:
    """Steps of which ninja runs one at a time, as templates see it.

    Args:
        name: its name in build.ninja.
        kinds: what the steps declare: names of resources and budgets, sorted.

    """

    name: str
    kinds: tuple[str, ...]


def emit_build_files(
    actions: Sequence[Action],
    sealed: Sequence[str],
    reused: int,
    document: PlanDocument,
    templates: Templates,
) -> dict[str, str]:
    """Return path -> text: the files for make and ninja, and the script that both call.

    Args:
        actions: those of the plan.
        sealed: ids of targets that are committed but not yet published.
        reused: how many targets are reused.
        document: its plan.json.
        templates: the templates of the files.

    """
    built_here = {action.target for action in actions}
    kinds = {action.target: limited_kinds(action.step) for action in actions}
    pools = pools_of(each for each in kinds.values() if each)
    values = {
        "plan_id": document.plan_id,
        "actions": actions,
        "needs": {
            action.target: [dep for dep in action.needs if dep in built_here] for action in actions
        },
        "sealed": sealed,
        "reused": reused,
        "later": later_lines(document),
        "pools": pools,
        "pool_of": {
            target: pool.name
            for target, taken in kinds.items()
            for pool in pools
            if taken and taken[0] in pool.kinds
        },
    }
    return {
        "Makefile": templates.render("local/Makefile.j2", **values),
        "build.ninja": templates.render("local/build.ninja.j2", **values),
        "states.sh": templates.render("local/states.sh.j2", plan_id=document.plan_id),
    }


def pools_of(taken: Iterable[Sequence[str]]) -> list[Pool]:
    """Return as many pools as possible, such that steps that take the same kind share one.

    A rule of ninja is in one pool only, so the kinds of one step are all in the same pool.

    Args:
        taken: the kinds that each step takes.

    """
    groups: list[set[str]] = []
    for kinds in taken:
        joined = set(kinds).union(*(group for group in groups if not group.isdisjoint(kinds)))
        groups = [group for group in groups if group.isdisjoint(kinds)] + [joined]
    in_order = sorted(tuple(sorted(group)) for group in groups)
    return [Pool(f"limited{i}", kinds) for i, kinds in enumerate(in_order, 1)]
