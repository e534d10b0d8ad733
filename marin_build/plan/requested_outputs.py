"""Where the requested outputs are, once they are built. Pure."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from marin_build.plan.decisions import Kind
from marin_build.plan.reasons import Adopted
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.plan.decisions import Plan


MOST = 100
"""How many requested outputs an event names."""


@dataclass(frozen=True, slots=True)
class BuiltOutput:
    """A requested target that is built, and where its data lies: a folder or a URL."""

    name: str
    target: str
    path: str


class RequestedOutputs(NamedTuple):
    """The requested targets that are built: the first ones, and how many more there are."""

    first: tuple[BuiltOutput, ...]
    more: int


def requested_outputs(
    plan: Plan, is_built_now: Callable[[int], bool] = lambda _: False
) -> RequestedOutputs:
    """Return where the requested outputs of a plan are.

    Args:
        plan: decided about them.
        is_built_now: whether a target that was to be built is built by now, by its index.

    """
    found = _built(plan, is_built_now)
    first = tuple(islice(found, MOST))
    return RequestedOutputs(first, sum(1 for _ in found))


def _built(plan: Plan, is_built_now: Callable[[int], bool]) -> Iterator[BuiltOutput]:
    wanted = set(plan.requested)
    decided = {each.index: each for each in plan.decisions if each.index in wanted}
    for index in dict.fromkeys(plan.requested):
        decision = decided.get(index)
        if decision is None or not (decision.kind is Kind.REUSE or is_built_now(index)):
            continue
        target, reason = plan.targets.all[index], decision.reason
        path = reason.location if isinstance(reason, Adopted) else target.output_path
        yield BuiltOutput(target.name, target.id, path)
