"""The plan for one target alone: what it needs must be built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.cli.planning import observe_tainted
from marin_build.errors import StoppedError
from marin_build.explain import describe
from marin_build.plan import Kind, Plan, make_plan
from marin_build.printable import printable
from marin_build.reasons import Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.cli.loading import Loaded

SHOWN_MISSING = 10
"""So many of the targets that are missing are named."""


def plan_of_one(
    loaded: Loaded,
    index: int,
    insisted: frozenset[int],
    hint: Callable[[Sequence[str]], str],
) -> Plan:
    """Return a plan that builds one target.

    Args:
        loaded: the pipeline.
        index: which target.
        insisted: itself, if it is built although it is built; or nothing.
        hint: what to do about what is missing, given the ids of that.

    Raises:
        StoppedError: something that it needs is not built.

    """
    targets = loaded.targets
    snapshot = observe_tainted(loaded, [index, *targets.deps[index]], insisted)
    whole = make_plan(targets, snapshot, [index], forced=insisted)
    by_index = {decision.index: decision for decision in whole.decisions}
    missing = [
        targets.all[dep].id
        for dep in sorted(targets.deps[index])
        if dep in by_index and by_index[dep].kind is not Kind.REUSE
    ]
    damaged = [
        f"{targets.all[dep].id}: {printable(describe(by_index[dep].reason))}"
        for dep in sorted(targets.deps[index])
        if dep in by_index and isinstance(by_index[dep].reason, Unreadable)
    ]
    decision = by_index[index]
    if missing and decision.kind is not Kind.REUSE:
        more = [f"and {len(missing) - SHOWN_MISSING} more"] if len(missing) > SHOWN_MISSING else []
        raise StoppedError(
            f"`{targets.all[index].name}` needs targets that are not built",
            facts=[
                ("missing", "\n".join([*missing[:SHOWN_MISSING], *more])),
                *((("blocked", "\n".join(damaged[:SHOWN_MISSING])),) if damaged else ()),
            ],
            consequence="nothing was run",
            hint=hint(missing),
        )
    return Plan(targets, (), (decision,), insisted, snapshot)  # nothing else is asked for
