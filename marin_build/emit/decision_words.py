"""The words that a plan says of its decisions, and which targets they are said of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from marin_build.plan.block_reasons import (
    ForeignData,
    NotAFolder,
    OutputAltered,
    Unreadable,
    UpstreamBlocked,
)
from marin_build.plan.plan_summary import verb_of
from marin_build.plan.reason_text import describe_decision
from marin_build.plan.reasons import Cascade, FailedBefore, IdentityChanged, OutputVanished
from marin_build.text.readable import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    from marin_build.plan.decisions import Decision, Plan
    from marin_build.plan.plan_summary import Verb
    from marin_build.plan.reasons import Reason


class Words(NamedTuple):
    """The words of a decision without its target; `is_own`: its line shows the declaration."""

    verb: Verb
    why: str
    topic: str
    is_own: bool


def by_words(plan: Plan, drift: Collection[int]) -> list[tuple[Words, list[int]]]:
    """Return the words of decisions, each with the targets of which they are said, in order.

    Args:
        plan: the plan.
        drift: the targets that are left out.

    """
    alike: dict[tuple[int, ...], list[Decision]] = {}  # by reason: many decisions share one
    for decision in plan.decisions:
        key = (id(decision.reason), id(decision.changed), id(decision.overwrites))
        if (group := alike.get(key)) is None:
            group = alike[key] = []
        group.append(decision)
    found = []
    for group in alike.values():
        indices = [decision.index for decision in group]
        if drift:
            indices = [index for index in indices if index not in drift]
        found.append((words_of(group[0]), indices))
    return found


def words_of(decision: Decision) -> Words:
    """Return the words of a decision."""
    reason = decision.reason
    why = printable(describe_decision(decision))
    is_own = isinstance(reason, IdentityChanged) and not reason.is_cascade
    topic = _topic(reason) if decision.overwrites is None else ""
    return Words(verb_of(decision), why, topic or why, is_own)


def _topic(reason: Reason) -> str:
    match reason:
        case IdentityChanged(is_cascade=True) | Cascade():
            return "needs targets that changed"
        case IdentityChanged(changes=changes) if changes:
            paths = dict.fromkeys(change.path for change in changes)
            return printable(f"{', '.join(paths)} changed")
        case FailedBefore():
            return "failed before"
        case UpstreamBlocked():
            return "needs blocked targets"
        case Unreadable(what=what):
            return f"its {what} is not readable"
        case ForeignData():
            return "foreign data (keep it: marin-build adopt; delete it: --overwrite)"
        case NotAFolder():
            return "a link or a file lies in the place of its output"
        case OutputVanished(lost=lost) if lost:
            return "its data is gone"
        case OutputAltered():
            return "its output was changed"
    return ""
