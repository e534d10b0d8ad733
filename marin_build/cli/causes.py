"""The causes that only the store knows: which code changed, and what in a reused dependency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.cli.reused_causes import reused_causes
from marin_build.reasons import Change, IdentityChanged

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.cli.loading import Loaded
    from marin_build.code.drift import Drift
    from marin_build.plan import Decision, Plan
    from marin_build.snapshot import Earlier

_CODE = "code"
"""Path of the code digest in a payload."""


def with_causes(loaded: Loaded, plan: Plan) -> Plan:
    """Return a plan whose reasons name what changed at the root.

    That are the functions, where code is identity, and what became of dependencies that are built
    already. The sources and records of then are read in one batch each, and only if there is such
    a reason.

    Raises:
        StoreError: the store cannot be read.

    """
    changed = [d for d in plan.decisions if _code_change(d) is not None]
    # Target -> what dependents said of it, and say now.
    causes = {id_: ("", text) for id_, text in reused_causes(loaded, plan).items()}
    if not changed and not causes:
        return plan
    drift = drift_since_earlier(loaded, plan, changed)
    decisions: list[Decision] = []
    for decision in plan.decisions:  # dependencies first
        reason = decision.reason
        if not isinstance(reason, IdentityChanged):
            decisions.append(decision)
            continue
        changes = tuple(
            _told(change, drift.get(decision.index), causes) for change in reason.changes
        )
        if changes and changes[0] != reason.changes[0]:
            before, after = reason.changes[0], changes[0]
            target = plan.targets.all[decision.index].id
            causes[target] = (before.because or before.text, _as_cause(after))
        decisions.append(replace(decision, reason=replace(reason, changes=changes)))
    return replace(plan, decisions=tuple(decisions))


def drift_since_earlier(
    loaded: Loaded, plan: Plan, decisions: Iterable[Decision]
) -> dict[int, Drift]:
    """Return how code changed since the earlier builds that decisions compare with, by target.

    Raises:
        StoreError: the store cannot be read.

    """
    earlier = {d.index: build for d in decisions if (build := _compared_with(plan, d)) is not None}
    if not earlier:
        return {}
    from marin_build.cli.kept_sources import parse_sources, source_paths
    from marin_build.code.drift import drift_of

    keys = [build.code_document for build in earlier.values()]
    paths = source_paths(plan.targets.workspace.prefix, keys)
    blobs = loaded.store.get_many(list(paths.values()))
    documents = parse_sources(dict(zip(paths, blobs, strict=True)))
    return {
        index: drift_of(
            build, documents.get(build.code_document or ""), plan.targets.all[index].step.fn
        )
        for index, build in earlier.items()
    }


def _compared_with(plan: Plan, decision: Decision) -> Earlier | None:
    reason = decision.reason
    if not isinstance(reason, IdentityChanged):
        return None
    builds = plan.snapshot.earlier.get(decision.index, ())
    return next((b for b in builds if (b.target, b.run) == (reason.since, reason.run)), None)


def _code_change(decision: Decision) -> Change | None:
    """Return the change of code among the changes of a decision, or None."""
    if not isinstance(decision.reason, IdentityChanged):
        return None
    return next((c for c in decision.reason.changes if c.path == _CODE), None)


def _told(change: Change, drift: Drift | None, causes: dict[str, tuple[str, str]]) -> Change:
    """Return a change with what is known by now of its cause."""
    if change.path == _CODE and drift is not None and drift.code:
        return replace(change, because=drift.code)
    said = causes.get(change.new) if isinstance(change.new, str) else None
    if said is not None and change.because == said[0]:
        return replace(change, because=said[1])
    return change


def _as_cause(change: Change) -> str:
    """Return a change as dependents tell it: `code changed: tokenizer.batch() +3 -1`."""
    if change.path == _CODE and change.because:
        return f"{change.text}: {change.because}"
    return change.because or change.text
