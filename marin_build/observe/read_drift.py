"""Drift of reused targets: identity, code or environment of today is not what built them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import field, replace
from typing import TYPE_CHECKING, NamedTuple

from marin_build.observe.drift_walk import walk_drift
from marin_build.plan.reasons import Accepted, BuiltBefore
from marin_build.protocol.known_versions import keep_versions, read_known_versions
from marin_build.protocol.provenance import Environment, Here, read_here, variables_of
from marin_build.quick_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from marin_build.identity.code.document import CodeDocument
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.drift import Drift, ValueDrift
    from marin_build.plan.reasons import Reason
    from marin_build.protocol.acceptance import Acceptance
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Blob, Store


class Drifted(NamedTuple):
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


class FoundDrift(NamedTuple):
    """A plan with accepted drift among its reasons, and the drift that was not accepted.

    The drift is by target. It can name PRUNED targets below a reused one, for which the plan has
    no decision. A changed identity is reported, too, but it is not
    `drifted`: `accept` does not apply to it.
    """

    plan: Plan
    drifted: Mapping[int, Drifted]

    @property
    def drift(self) -> dict[int, Drift]:
        """The drift by target, in the order of the targets."""
        found = {index: it.drift for index, it in self.drifted.items()}
        if self.plan.snapshot.drifted:
            from marin_build.plan.drift import Drift, reused_drift

            for index, identity in reused_drift(self.plan).items():
                found[index] = replace(found.get(index, Drift()), identity=identity)
        return {index: found[index] for index in sorted(found)}


def find_drift(
    store: Store,
    plan: Plan,
    environments: Environments,
    *,
    heed_accepted: bool = True,
    parts: bool = True,
) -> FoundDrift:
    """Return how identity, code and environment changed since reused targets were built.

    Records are read below a reused target only where its own says that something drifted there;
    sources of earlier builds, and acceptances, only of targets that drifted, all in one batch.

    Args:
        store: holds what was built.
        plan: a plan of today.
        environments: what its steps would be built in today.
        heed_accepted: leave out what a user accepted.
        parts: read which parts of the code differ; without, drift of code stays unexplained.

    Raises:
        StoreError: the store cannot be read.

    """
    drifted = _all_drifted(store, plan, environments)
    if not drifted:
        return FoundDrift(plan, {})
    from marin_build.protocol import layout

    targets = plan.targets
    sources: Mapping[str, str] = {}
    if parts:
        from marin_build.identity.code.document import source_paths

        keys = [it.built.code_document for it in drifted.values() if it.drift.is_of_code]
        sources = source_paths(targets.workspace.prefix, keys)
    heeded = drifted if heed_accepted else ()
    words = {i: f"{targets.all[i].output_path}/{layout.ACCEPTED}" for i in heeded}
    paths = [*sources.values(), *words.values()]
    read = dict(zip(paths, store.get_many(paths), strict=True))
    documents: Mapping[str, CodeDocument] = {}
    if parts:
        from marin_build.identity.code.document import parse_sources

        documents = parse_sources(
            {key: blob.data if (blob := read[path]) else None for key, path in sources.items()}
        )
    found: dict[int, Drifted] = {}
    accepted: dict[int, Acceptance] = {}
    for index, it in drifted.items():
        step = targets.all[index].step
        rest, word = _without_accepted(it, step, read[words[index]] if heed_accepted else None)
        if rest:
            drift = _explained(it.built, rest, documents, step) if parts else rest
            found[index] = it._replace(drift=drift)
        elif word is not None:
            accepted[index] = word
    return FoundDrift(_with_reasons(plan, accepted), found)


def _all_drifted(store: Store, plan: Plan, environments: Environments) -> dict[int, Drifted]:
    """Return what drifted, accepted or not; the parts of code that differ are not known yet."""
    descent = walk_drift(store, plan)
    looked_at = set(descent.looked_at)
    found: dict[int, Drifted] = {}
    for index, built in descent.records.items():
        step = plan.targets.all[index].step
        if built is None or plan.targets.workspace.policy(step.code) == "ignore":
            continue
        # A target of another identity may have been made from other dependencies than today's.
        is_its_own = index not in plan.snapshot.drifted
        has_other_code = descent.has_other_code(index)
        again = descent.built_again_below(index) if is_its_own else ()
        environment = (
            environments.drift(step, built.environment)
            if index in looked_at
            else variable_drift(step, built.environment)
        )
        if has_other_code or again or environment:
            from marin_build.plan.drift import Drift

            drift = Drift(environment=environment, is_unexplained=has_other_code, upstream=again)
            today = environments.today(step, built.environment)
            found[index] = Drifted(built, drift, descent.upstream_digest(index), today)
    return found


def _without_accepted(
    it: Drifted, step: StepSpec, blob: Blob | None
) -> tuple[Drift, Acceptance | None]:
    """Return the drift that was not accepted, and the last acceptance of some of it."""
    from marin_build.protocol.acceptance import read_accepted

    last: Acceptance | None = None
    drift = it.drift
    for word in read_accepted(blob, fingerprint=it.built.fingerprint, run=it.built.run):
        rest = drift
        if word.code_digest is not None and not step.has_drifted(word.code_digest):
            rest = replace(rest, is_unexplained=False)
        if word.upstream is not None and word.upstream == it.upstream:
            rest = replace(rest, upstream=())
        accepted = Environment(**dict(word.environment))
        if accepted.variables is None:  # an older version accepted it
            accepted = accepted._replace(variables=it.environment.variables)
        if accepted == it.environment:
            rest = replace(rest, environment=())
        if rest != drift:
            drift, last = rest, word
    return drift, last


def _explained(
    built: Built, drift: Drift, documents: Mapping[str, CodeDocument], step: StepSpec
) -> Drift:
    """Return drift with the parts of the code that differ."""
    if not drift.is_unexplained:
        return drift
    from marin_build.plan.find_drift import drift_of

    told = drift_of(built, documents.get(built.code_document or ""), step.fn)
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


def variable_drift(step: StepSpec, recorded: Mapping[str, Any] | None) -> tuple[ValueDrift, ...]:
    """Return how a step's `env_vars` differ from those in a record; nothing if it has none."""
    then = Environment.of_record(recorded).variables
    if not then and not step.env_vars:
        return ()
    from marin_build.plan.find_drift import environment_drift

    now = Environment(variables=variables_of(step.env_vars, step.secrets))
    return environment_drift(Environment(variables=then), now)


@dataclass(slots=True)
class Environments:
    """The environments of one plan; this machine's is read once, and only if it is asked for.

    Args:
        project: the folder whose lock files are compared.
        is_here: whether a step is built with what is installed here; elsewhere only its image is
            known.
        image_of: the image that a step is built in there.

    """

    project: str
    is_here: Callable[[StepSpec], bool]
    image_of: Callable[[StepSpec], str | None]
    _here: Here | None = field(default=None, init=False)
    _known: Mapping[str, str] | None = field(default=None, init=False)
    """The versions of distributions that earlier processes looked up."""
    _last: tuple[object, ...] = field(default=(), init=False)
    """What `drift` compared last; its answer is `_drift`."""
    _drift: tuple[ValueDrift, ...] = field(default=(), init=False)

    def today(
        self,
        step: StepSpec,
        recorded: Mapping[str, Any] | None,
        version_of: Callable[[str], str] | None = None,
    ) -> Environment:
        """Return the environment that a step would be built in.

        Of another machine, only the image is known: what is installed here says nothing about it.

        Args:
            step: the step.
            recorded: the environment in a record; its distributions are looked up.
            version_of: returns the version of a distribution, empty if it is not installed;
                None: it is looked up.

        """
        if self._here is None:
            self._here = read_here(self.project, os.environ)
        if self.is_here(step):
            names = Environment.of_record(recorded).distributions or ()
            found = self._here.with_distributions(names, version_of)
        else:
            found = Environment(locks=self._here.locks, image=self.image_of(step))
        return found._replace(variables=variables_of(step.env_vars, step.secrets))

    def drift(self, step: StepSpec, recorded: Mapping[str, Any] | None) -> tuple[ValueDrift, ...]:
        """Return how a recorded environment differs from today's; nothing if none is recorded."""
        if recorded is None:
            return ()
        key = recorded, self.is_here(step), self.image_of(step), step.env_vars, step.secrets
        if key != self._last:  # one run records the same for most of its targets
            self._last, self._drift = key, self._compared(step, recorded)
        return self._drift

    def _compared(self, step: StepSpec, recorded: Mapping[str, Any]) -> tuple[ValueDrift, ...]:
        then = Environment.of_record(recorded)
        if then.distributions:
            if self._known is None:
                self._known = read_known_versions(self.project)
            with suppress(KeyError):
                if then == self.today(step, recorded, self._known.__getitem__):
                    return ()
            if not self._known.keys() >= then.distributions.keys():
                keep_versions(self.project, then.distributions)
        now = self.today(step, recorded)
        if then == now:
            return ()
        from marin_build.plan.find_drift import environment_drift

        return environment_drift(then, now)
