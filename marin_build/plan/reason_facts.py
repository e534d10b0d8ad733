"""Reasons as plan.json has them: written; and read back, as values, in words, as changes. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_args

from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.difference_text import describe_difference
from marin_build.plan.payload_diff import without_nulls
from marin_build.plan.reason_text import describe_all, describe_stably, kind_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.plan.reasons import Change, IdentityChanged, Reason


_KINDS: Mapping[str, type[Reason]] = {kind_name(each): each for each in get_args(why.Reason)}
_OTHER_NAMES = {"bytes": "size", "changed": "changes"}
"""Fields that JSON has under another name."""
_UNKNOWN: Mapping[str, Any] = {
    "attempt": 0, "exit_code": None, "time_to_live": 0.0, "found": 0, "needed": 0, "hosts": 0,
    "files": 0, "size": 0, "engines": (), "changes": (), "paths": (),
}  # fmt: skip
"""What a field is that plan.json does not contain; a text is empty."""


def reason_in(facts: Mapping[str, Any]) -> Reason | None:
    """Return an element of `reasons` of a decision as a value; None for an unknown kind.

    Times, hosts and runs, which plan.json does not contain, are empty in it.
    """
    kind = _KINDS.get(str(facts.get("kind", "")))
    if kind is None:
        return None
    known = {_OTHER_NAMES.get(key, key): value for key, value in facts.items()}
    if kind is why.IdentityChanged:
        known["changes"] = changes_in(facts)
    return kind(
        **{
            field.name: known.get(field.name, _UNKNOWN.get(field.name, ""))
            for field in fields(kind)
        }
    )


def describe_reasons(reasons: Sequence[Mapping[str, Any]]) -> str:
    """Return the `reasons` of a decision in words, as `describe_decision` says them; may be empty.

    Times and hosts are left out, as plan.json does not contain them.
    """
    found = [reason for facts in reasons if (reason := reason_in(facts)) is not None]
    if not found:
        return ""
    return describe_all(found, describe_stably)


def identity_change_in(reasons: Sequence[Mapping[str, Any]]) -> IdentityChanged | None:
    """Return what changed since the nearest earlier build; None if no reason says that."""
    return _identity([reason_in(facts) for facts in reasons])


def _identity(reasons: Sequence[Reason | None]) -> IdentityChanged | None:
    return next((each for each in reasons if isinstance(each, why.IdentityChanged)), None)


def changes_in(facts: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the changes since the nearest earlier build; empty for other kinds of reasons."""
    return tuple(map(_change, facts.get("changes", ())))


def _change(facts: Mapping[str, Any]) -> Change:
    old, new = facts.get("old"), facts.get("new")
    text = facts.get("text") or describe_difference(without_nulls(facts["path"], old, new))
    return why.Change(facts["path"], old, new, text, facts.get("because", ""))


def stable_facts(reason: Reason) -> dict[str, object]:
    """Return the facts of a reason that belong into a saved plan: no times, no hosts."""
    match reason:
        case why.IdentityChanged(changes=changes, since=since):
            return {"since": since, "changes": [_change_facts(change) for change in changes]}
        case why.FailedBefore(attempt=attempt, exit_code=code):
            return {"attempt": attempt, "exit_code": code}
        case why.Cascade(upstream=upstream) | blocks.UpstreamBlocked(upstream=upstream):
            return {"upstream": upstream}
        case blocks.FailureKept(attempt=attempt) | blocks.ResultNotSaved(attempt=attempt):
            return {"attempt": attempt}
        case blocks.Unreadable(what=what):
            return {"what": what}
        case (
            why.Overwrites(files=files, size=size, paths=paths, listing=listing)
            | blocks.ForeignData(files=files, size=size, paths=paths, listing=listing)
        ):
            return {"files": files, "bytes": size, "paths": list(paths), "listing": listing}
        case blocks.NotAFolder(found=found):
            return {"found": found.partition(" to `")[0]}
        case why.OutputVanished(lost=lost):
            return {"lost": list(lost)} if lost else {}
        case blocks.OutputAltered(changes=changes):
            return {"changed": list(changes)}
        case blocks.DeviceMissing(device=device, needed=needed):
            return {"device": device, "needed": needed}
        case blocks.SeveralHosts(hosts=hosts):
            return {"hosts": hosts}
        case blocks.OverBudget(budget=name, needed=needed, found=found):
            return {"budget": name, "needed": needed, "found": found}
        case why.Tainted(reason=words) | why.Accepted(reason=words):
            return {"reason": words}
        case why.Adopted(location=location, files=files, size=size):
            return {"location": location, "files": files, "bytes": size}
        case _:
            return {}


def _change_facts(change: why.Change) -> dict[str, object]:
    from marin_build.plan.difference_text import describe_difference
    from marin_build.plan.payload_diff import without_nulls

    facts: dict[str, object] = {"path": change.path, "old": change.old, "new": change.new}
    if change.text != describe_difference(without_nulls(change.path, change.old, change.new)):
        facts["text"] = change.text  # what its path and values do not tell: a null, a rename
    return {**facts, "because": change.because} if change.because else facts
