"""Drift of what is reused: identity, code or environment of today is not what built it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.cli.descending import descend
from marin_build.cli.environments import Environments
from marin_build.code import has_drifted
from marin_build.code.drift import Drift, drift_of
from marin_build.environment import Environment
from marin_build.reasons import Accepted, BuiltBefore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.cli.loading import Loaded
    from marin_build.code.document import CodeDocument
    from marin_build.plan import Plan
    from marin_build.protocol.accepting import Acceptance
    from marin_build.reasons import Reason
    from marin_build.snapshot import Built
    from marin_build.store.base import Blob


@dataclass(frozen=True, slots=True)
class Drifted:
    """A reused target whose code or environment drifted.

    Args:
        built: what its record says.
        drift: how today differs from that.
        upstream: digest over the code that built what it needs; None if that is not known.
        environment: what it would be built in today.

    """

    built: Built
    drift: Drift
    upstream: str | None
    environment: Environment


@dataclass(frozen=True, slots=True)
class FoundDrift:
    """A plan, in which what was accepted is a reason, and the drift that nobody accepted.

    The drift is by target. Targets below a reused one can be among them, which were PRUNED: no
    decision of the plan is about these. An identity that changed is told, too, but it is not
    `drifted`: nobody can accept it.
    """

    plan: Plan
    drifted: Mapping[int, Drifted]

    @property
    def drift(self) -> dict[int, Drift]:
        """The drift by target, in the order of the targets."""
        found = {index: it.drift for index, it in self.drifted.items()}
        if self.plan.snapshot.drifted:
            from marin_build.other_identities import reused_drift

            for index, identity in reused_drift(self.plan).items():
                found[index] = replace(found.get(index, Drift()), identity=identity)
        return {index: found[index] for index in sorted(found)}


def find_drift(
    loaded: Loaded, plan: Plan, engine: str, *, heed_accepted: bool = True
) -> FoundDrift:
    """Return how identity, code and environment changed since what is reused was built.

    Records are read below a reused target only where its own says that something drifted there;
    sources of then and acceptances only for what drifted, all in one batch.

    Args:
        loaded: the pipeline and its store.
        plan: a plan for it.
        engine: where its steps would be built today.
        heed_accepted: leave out what somebody accepted.

    Raises:
        StoreError: the store cannot be read.

    """
    drifted = _all_drifted(loaded, plan, engine)
    if not drifted:
        return FoundDrift(plan, {})
    from marin_build.cli.kept_sources import parse_sources, source_paths
    from marin_build.protocol import layout

    targets = plan.targets
    keys = [it.built.code_document for it in drifted.values() if it.drift.is_of_code]
    sources = source_paths(targets.workspace.prefix, keys)
    heeded = drifted if heed_accepted else ()
    words = {i: f"{targets.all[i].output_path}/{layout.ACCEPTED}" for i in heeded}
    paths = [*sources.values(), *words.values()]
    read = dict(zip(paths, loaded.store.get_many(paths), strict=True))
    documents = parse_sources({key: read[path] for key, path in sources.items()})
    found: dict[int, Drifted] = {}
    accepted: dict[int, Acceptance] = {}
    for index, it in drifted.items():
        fn = targets.all[index].step.fn
        rest, word = _without_accepted(it, fn, read[words[index]] if heed_accepted else None)
        if rest:
            found[index] = replace(it, drift=_explained(it.built, rest, documents, fn))
        elif word is not None:
            accepted[index] = word
    return FoundDrift(_with_reasons(plan, accepted), found)


def _all_drifted(loaded: Loaded, plan: Plan, engine: str) -> dict[int, Drifted]:
    """Return what drifted, whether it was accepted or not; how the code did is not told yet."""
    descent, environments = descend(loaded.store, plan), Environments(loaded, engine)
    looked_at = set(descent.looked_at)
    found: dict[int, Drifted] = {}
    for index, built in descent.records.items():
        step = plan.targets.all[index].step
        if built is None or plan.targets.workspace.policy(step.code) == "ignore":
            continue
        # What has another identity may have been made from others than it needs today.
        is_its_own = index not in plan.snapshot.drifted
        drift = Drift(
            is_unexplained=descent.has_other_code(index),
            upstream=descent.built_again_below(index) if is_its_own else (),
            environment=environments.drift(step, built.environment) if index in looked_at else (),
        )
        if drift:
            today = environments.today(step, built.environment)
            found[index] = Drifted(built, drift, descent.upstream_digest(index), today)
    return found


def _without_accepted(
    it: Drifted, fn: object, blob: Blob | None
) -> tuple[Drift, Acceptance | None]:
    """Return the drift that was not accepted, and the last word that accepted some of it."""
    from marin_build.protocol.accepting import read_accepted

    last: Acceptance | None = None
    drift = it.drift
    for word in read_accepted(blob, fingerprint=it.built.fingerprint, run=it.built.run):
        rest = drift
        if word.code_digest is not None and not has_drifted(word.code_digest, fn):
            rest = replace(rest, is_unexplained=False)
        if word.upstream is not None and word.upstream == it.upstream:
            rest = replace(rest, upstream=())
        if Environment(**dict(word.environment)) == it.environment:
            rest = replace(rest, environment=())
        if rest != drift:
            drift, last = rest, word
    return drift, last


def _explained(
    built: Built, drift: Drift, documents: Mapping[str, CodeDocument], fn: object
) -> Drift:
    """Return drift with the parts of the code that differ."""
    if not drift.is_unexplained:
        return drift
    told = drift_of(built, documents.get(built.code_document or ""), fn)
    return replace(told, upstream=drift.upstream, environment=drift.environment)


def _with_reasons(plan: Plan, accepted: Mapping[int, Acceptance]) -> Plan:
    """Return a plan that reuses what was accepted for that reason."""
    decisions = [
        replace(decision, reason=_accepted(decision.reason, accepted[decision.index]))
        if decision.index in accepted
        else decision
        for decision in plan.decisions
    ]
    return replace(plan, decisions=tuple(decisions)) if accepted else plan


def _accepted(reason: Reason, word: Acceptance) -> Reason:
    if not isinstance(reason, BuiltBefore):
        return reason
    return Accepted(reason.run, reason.by, reason.at, word.reason, word.by, word.at)
