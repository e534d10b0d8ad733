"""Which built targets have another identity than is declared, and what changed in it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import FingerprintMismatchError
from marin_build.observe.read_causes import causes_below
from marin_build.observe.read_records import read_any_built
from marin_build.plan.config_changes import config_changes
from marin_build.plan.graph_shape import upstream
from marin_build.plan.identity_drift import IdentityDrift, OtherUpstream
from marin_build.plan.nearest_build import changes_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.reasons import Change
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.record_reader import Built
    from marin_build.store.base import Store


_SHOWN = 10


def read_identity_drift(
    store: Store, targets: Targets, seen: Mapping[int, Observed], others: Sequence[int]
) -> dict[int, IdentityDrift]:
    """Return how identities drifted, by target; pruned targets can be among them.

    The records of what a target was made from are read only where something drifted.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        seen: what was seen of them.
        others: built targets whose record has another fingerprint, or another deep one.

    Raises:
        FingerprintMismatchError: the fingerprint of one of them is pinned.
        StoreError: the store cannot be read.

    """
    records = {i: built for i in others if (built := seen[i].built) is not None}
    made = [i for i in records if not _is_other(targets.all[i], records[i])]
    loose_below = _loose_below(targets, made)
    loose = {dep for deps in loose_below.values() for dep in deps}
    below = {i: seen[i].built if i in seen else None for i in loose}
    unread = sorted(i for i, built in below.items() if built is None)
    below |= read_any_built(store, targets, unread)
    own = {
        i: built
        for i, built in [*records.items(), *below.items()]
        if built is not None and _is_other(targets.all[i], built)
    }
    _refuse_pinned(targets, own)
    found = _changed(store, targets, own)
    deep = targets.deep_fingerprints() if made else ()
    for index in made:
        blamed = [dep for dep in loose_below[index] if dep in found]
        if not blamed:  # they are as declared now, so they were built again since
            end = records[index].end
            blamed = [d for d in loose_below[index] if (it := below.get(d)) and it.end > end]
        upstream = tuple(
            OtherUpstream(
                targets.all[dep].id, _changes_of(found.get(dep), below[dep], records[index])
            )
            for dep in blamed or loose_below[index]
        )
        recorded = records[index].deep_fingerprint or ""
        found[index] = IdentityDrift("", recorded, deep[index], upstream=upstream)
    return dict(sorted(found.items()))


def _is_other(target: Target, built: Built) -> bool:
    return built.fingerprint != target.fingerprint


def _changes_of(
    drift: IdentityDrift | None, built: Built | None, consumer: Built
) -> tuple[Change, ...]:
    """Return what changed in a dependency, if the build that its consumer read still lies there."""
    if drift is None or built is None or built.end > consumer.end:
        return ()
    return drift.changes


def _loose_below(targets: Targets, wanted: Sequence[int]) -> dict[int, list[int]]:
    """Return target -> what it needs, at any depth, among targets with no hash in their path."""
    below: dict[int, frozenset[int]] = {}
    for index in sorted(upstream(targets, wanted)):  # topological
        deps = targets.deps[index]
        own = frozenset(dep for dep in deps if targets.all[dep].step.has_free_path)
        below[index] = own.union(*{id(s): s for s in map(below.__getitem__, deps)}.values())
    return {index: sorted(below[index]) for index in wanted}


def _refuse_pinned(targets: Targets, own: Mapping[int, Built]) -> None:
    """Refuse drift of a step whose author pinned the fingerprint."""
    pinned = [i for i in sorted(own) if targets.all[i].step.is_pinned]
    if pinned:
        first, *more = pinned
        target = targets.all[first]
        also = [targets.all[i].id for i in more[:_SHOWN]]
        raise pinned_error(target.step, target.output_path, own[first], also)


def pinned_error(
    step: StepSpec, output: str, built: Built, also: Sequence[str] = ()
) -> FingerprintMismatchError:
    """Return the error for a step whose fingerprint is pinned, where another one was built.

    Args:
        step: the step.
        output: its output path.
        built: what the record there says.
        also: other targets of which the same is true.

    """
    another = "a new version" if step.version else "another output path"
    return FingerprintMismatchError(
        f"`{step.target_id}` pins its fingerprint, and another one was built there",
        facts=[
            ("output", output),
            ("recorded", built.fingerprint),
            ("pinned", step.fingerprint),
            *([("the same", "\n".join(also))] if also else []),
        ],
        consequence="nothing was run",
        hint=f"declare what was built there, or give it {another}, or build it with --force",
    )


def _changed(store: Store, targets: Targets, own: Mapping[int, Built]) -> dict[int, IdentityDrift]:
    """Return what changed in the identities of targets since they were built."""
    found = {i: changed_identity(targets.all[i].step, built) for i, built in own.items()}
    were = {
        change.new: change.old
        for drift in found.values()
        for change in drift.changes
        if change.path.startswith("deps.") and None not in (change.old, change.new)
    }
    causes = causes_below(store, targets, were) if were else {}
    if not causes:
        return found

    def with_cause(change: Change) -> Change:
        is_known = change.path.startswith("deps.") and change.new in causes
        return replace(change, because=causes[change.new]) if is_known else change

    return {
        i: replace(drift, changes=tuple(with_cause(change) for change in drift.changes))
        for i, drift in found.items()
    }


def changed_identity(step: StepSpec, built: Built) -> IdentityDrift:
    """Return how the identity of a step differs from what was built in its place."""
    where = f"under version {step.version}" if step.version else "at its output path"
    changes = changes_between(built.hashed, step.payload)
    return IdentityDrift(where, built.fingerprint, step.fingerprint, changes)


def drift_report(step: StepSpec, built: Built) -> str:
    """Return the same in words for a log; of a recipe with the values that changed, a line each."""
    said = changed_identity(step, built).text
    if not step.has_recipe or built.hashed is None:
        return said
    lines = config_changes(built.hashed.get("attrs"), json.loads(step.payload)["attrs"])
    return f"its recipe has drifted under version {step.version}:\n" + "\n".join(
        f"  {line}" for line in lines
    )
