"""The document of a run that learned of further steps: what it keeps under the prefix. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marin_build.plan.document import PlanDocument


def grown_document(before: PlanDocument, further: PlanDocument) -> PlanDocument:
    """Return the plan of a run with the part that it goes on with.

    A target that both have keeps the decision that says what the run did, or will do, with it: what
    an earlier part built, the further one merely reuses.

    Args:
        before: the plan so far.
        further: the plan of what is known now; what was built counts as built in it.

    """
    decisions = {each.target: each for each in before.decisions}
    for each in further.decisions:
        if each.target not in decisions or each.decision == "run":
            decisions.pop(each.target, None)  # dependencies stay first
            decisions[each.target] = each
    pruned = {each.target: each for each in (*before.pruned, *further.pruned)}
    left_out = tuple(each for target, each in pruned.items() if target not in decisions)
    counts = Counter[str](each.decision for each in decisions.values())
    return before.model_copy(
        update={
            "requested": further.requested,
            "summary": {
                kind: counts[kind] if kind != "pruned" else count
                for kind, count in further.summary.items()
            },
            "decisions": tuple(decisions.values()),
            "expansions": further.expansions,
            "pruned": left_out,
        }
    )
