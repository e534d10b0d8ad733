"""A plan in a few words: the verb of each decision, and all of them counted on one line. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, get_args

from marin_build.plan.decisions import Kind
from marin_build.plan.estimate_text import summary_text
from marin_build.plan.reasons import Adopted, Cascade, IdentityChanged, NeverBuilt

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.estimate import PlanEstimate


Verb = Literal[
    "build", "rebuild", "cascade", "reuse", "adopt", "drift", "wait", "blocked", "expand"
]
VERBS: tuple[Verb, ...] = get_args(Verb)
RUN_VERBS: tuple[Verb, ...] = ("build", "rebuild", "cascade")
LONG = 60.0
"""A plan that takes at least so many seconds says how long it may take."""


def verb_of(decision: Decision) -> Verb:
    """Return in one word what the plan does with a target."""
    match decision.kind, decision.reason:
        case Kind.RUN, NeverBuilt():
            return "build"
        case Kind.RUN, Cascade():
            return "cascade"
        case Kind.RUN, IdentityChanged(is_cascade=True):
            return "cascade"
        case Kind.RUN, _:
            return "rebuild"
        case Kind.REUSE, Adopted():
            return "adopt"
        case Kind.REUSE, _:
            return "reuse"
        case Kind.WAIT, _:
            return "wait"
    return "blocked"


def count_verbs(plan: Plan, drifted: Container[int] = ()) -> Counter[Verb]:
    """Return how many decisions have each verb.

    Args:
        plan: the plan.
        drifted: indices of targets that drifted. They are not counted: a plan lists them apart.

    """
    return Counter(verb_of(each) for each in plan.decisions if each.index not in drifted)


def is_long(estimate: PlanEstimate) -> bool:
    """Return whether a plan takes so long that its summary shows the estimate."""
    return (estimate.total_seconds or 0.0) >= LONG


def summary_line(
    plan_id: str,
    counts: Mapping[str, int],
    verbs: Mapping[Verb, int] | None = None,
    estimate: PlanEstimate | None = None,
    waiting: int = 0,
) -> str:
    """Return `plan p-81c2d3e4: 3 to build (1 build, 2 cascade), 140 reused`.

    Args:
        plan_id: the plan's short name.
        counts: targets by kind of decision, `pruned` included.
        verbs: how many decisions have each verb; None: adopted targets count as reused.
        estimate: the time and cost; None if they are not known.
        waiting: how many expansions wait: their steps are not among the targets.

    """
    verbs, counts = verbs or {}, Counter(counts)  # any program may have written a plan
    kinds = [f"{verbs[verb]:,} {verb}" for verb in RUN_VERBS if verbs.get(verb)]
    parts = [f"{counts['run']:,} to build" + (f" ({', '.join(kinds)})" if len(kinds) > 1 else "")]
    adopted = verbs.get("adopt", 0)
    for count, words in (
        (counts["wait"], "built by another run"),
        (counts["blocked"], "blocked"),
        (adopted, "adopted"),
    ):
        if count:
            parts.append(f"{count:,} {words}")
    parts.append(f"{counts['reuse'] - adopted + counts['pruned']:,} reused")
    later = f"; {waiting:,} expansion{'s wait' if waiting != 1 else ' waits'}" if waiting else ""
    text = f" - {summary_text(estimate)}" if estimate is not None and is_long(estimate) else ""
    return f"plan {plan_id}: {', '.join(parts)}{later}{text}"
