"""Reasons that were read from plan.json: in words, and as changes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.plan.payload_diff import ABSENT, Difference, describe_difference
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import Cascade, Change, IdentityChanged, UpstreamBlocked

if TYPE_CHECKING:
    from collections.abc import Mapping


def describe_facts(facts: Mapping[str, Any]) -> str:
    """Return a reason in words, without times and hosts, which plan.json does not contain.

    Args:
        facts: an element of `reasons` of a decision; empty if it has none.

    """
    match facts:
        case {"kind": "identity_changed", "since": since}:
            return describe(IdentityChanged(changes_in(facts), since, "", "", ""))
        case {"kind": "cascade", "upstream": upstream}:
            return describe(Cascade(upstream))
        case {"kind": "upstream_blocked", "upstream": upstream}:
            return describe(UpstreamBlocked(upstream))
        case {"kind": "built_before"}:
            return "built"
        case {"kind": kind, "reason": words}:
            return f"{kind.replace('_', ' ')}: {words}"
    return str(facts.get("kind", "")).replace("_", " ")


def changes_in(facts: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the changes since the nearest earlier build; empty for other kinds of reasons."""
    return tuple(map(_change, facts.get("changes", ())))


def _change(facts: Mapping[str, Any]) -> Change:
    old, new = facts.get("old"), facts.get("new")
    ends = [ABSENT if value is None else value for value in (old, new)]
    text = describe_difference(Difference(facts["path"], *ends))
    return Change(facts["path"], old, new, text, facts.get("because", ""))
