"""Adopted data, for the steps of a plan that read it: where it lies, and whether it still does.

Only steps that are to be built read such data, so a plan with nothing to do pays nothing here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, SpecificationError, StoreError
from marin_build.operations.loading.loading import AdoptedData
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.load import Pipeline
    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.decisions import Plan
    from marin_build.plan.outcomes import Stopped
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.record_reader import Built
    from marin_build.workspace.workspace import Workspace


_LISTINGS_AT_ONCE = 32


def with_adopted(
    loaded: Loaded, plan: Plan, *, readers: Sequence[int] | None = None
) -> tuple[Loaded, Plan]:
    """Have the steps of a plan read adopted data where it lies.

    A pipeline that asked for the path of such an output while it was loaded may have kept the old
    path, so it is loaded again.

    Args:
        loaded: the pipeline.
        plan: a plan for its targets.
        readers: the steps that read; None: those that are to be built.

    Raises:
        SpecificationError: loaded again, the pipeline declares other targets.
        StoreError: what a run committed and did not publish cannot be read.

    """
    places = _places(loaded, plan, plan.to_build if readers is None else readers)
    if not places:
        return loaded, plan
    by_id = MappingProxyType({id_: place.location for id_, place in places.items()})
    workspace = replace(loaded.workspace, adopted=by_id)
    elsewhere = {id_ for id_, place in places.items() if place.location != place.output}
    if not any(step.target_id in elsewhere for step in loaded.pipeline.asked):
        use_workspace(workspace)
        targets = replace(plan.targets, workspace=workspace)
        loaded = replace(loaded, workspace=workspace, targets=targets, adopted=places)
        return loaded, replace(plan, targets=targets)
    from marin_build.pipeline.graph import build_graph
    from marin_build.pipeline.load import load_again
    from marin_build.pipeline.targets import make_targets

    def targets_of(pipeline: Pipeline, workspace: Workspace) -> tuple[Pipeline, Targets]:
        return pipeline, make_targets(build_graph(pipeline.roots), workspace)

    pipeline, targets = targets_of(load_again(loaded.pipeline, workspace), workspace)
    if pipeline.expansions:
        from marin_build.operations.loading.expansions import with_expansions

        pipeline, targets = with_expansions(pipeline, targets, targets_of)
    _check_same(plan.targets, targets)
    loaded = replace(
        loaded, workspace=workspace, pipeline=pipeline, targets=targets, adopted=places
    )
    return loaded, _moved(plan, targets)


def _places(loaded: Loaded, plan: Plan, readers: Iterable[int]) -> dict[str, AdoptedData]:
    """Return the adopted data that steps read, by target id."""
    built_now = set(plan.to_build)
    candidates = {
        index: seen
        for index, seen in plan.snapshot.seen.items()
        if index not in built_now
        and (
            (seen.built is not None and seen.built.adopted_from is not None)
            or (seen.lease is not None and seen.lease.is_sealed)
        )
    }
    if not candidates:
        return {}
    targets = plan.targets
    read = sorted({dep for index in readers for dep in targets.deps[index]} & candidates.keys())
    sealed = [index for index in read if candidates[index].built is None]
    places = _sealed_places(loaded, targets, {index: candidates[index] for index in sealed})
    for index in read:
        target = targets.all[index]
        if (place := _place_of(candidates[index].built, target)) is not None:
            places[target.id] = place
    return places


def _sealed_places(
    loaded: Loaded, targets: Targets, sealed: Mapping[int, Observed]
) -> dict[str, AdoptedData]:
    """Return the adopted data of targets that are committed and wait to be published."""
    paths = {
        layout.attempt_path(targets.all[index].output_path, seen.lease.attempt): index
        for index, seen in sealed.items()
        if seen.lease is not None
    }
    found: dict[str, AdoptedData] = {}
    for path, blob in zip(paths, loaded.store.get_many(list(paths)), strict=True):
        target = targets.all[paths[path]]
        try:
            committed = parse_attempt(blob.data if blob is not None else b"", path).committed
        except CorruptStateError:
            committed = None
        if committed is None:
            raise CorruptStateError(
                f"the sealed attempt `{path}` is missing or was changed",
                consequence="the target was committed but cannot be published",
            )
        place = _place_of(committed.record, target)
        if place is not None:
            found[target.id] = place
    return found


def _place_of(built: Built | None, target: Target) -> AdoptedData | None:
    """Return where the data of a target lies; None if it was not adopted."""
    if built is None or built.adopted_from is None:
        return None
    return AdoptedData(
        built.adopted_from, target.output_path, built.attempt, built.files, built.size
    )


def _check_same(before: Targets, after: Targets) -> None:
    """Refuse a pipeline whose identities depend on where data lies."""
    old = {target.id: target.fingerprint for target in before.all}
    new = {target.id: target.fingerprint for target in after.all}
    if old == new:
        return
    changed = [id_ for id_ in old if new.get(id_) != old[id_]]
    raise SpecificationError(
        "the identity of steps depends on where adopted data lies",
        facts=[("differs", "\n".join(changed[:10]) or "there are more steps than before")],
        consequence="nothing was run",
        hint="give the step itself as an argument, or use a placeholder, instead of its path",
    )


def _moved(plan: Plan, targets: Targets) -> Plan:
    """Return a plan for the same targets in another order."""
    at = [targets.by_id[target.id] for target in plan.targets.all]
    decisions = [replace(decision, index=at[decision.index]) for decision in plan.decisions]
    snapshot = replace(
        plan.snapshot,
        seen={at[index]: seen for index, seen in plan.snapshot.seen.items()},
        earlier={at[index]: builds for index, builds in plan.snapshot.earlier.items()},
        tainted={at[index]: taint for index, taint in plan.snapshot.tainted.items()},
        drifted={at[index]: drift for index, drift in plan.snapshot.drifted.items()},
    )
    return replace(
        plan,
        targets=targets,
        requested=tuple(at[index] for index in plan.requested),
        decisions=tuple(sorted(decisions, key=lambda decision: decision.index)),
        forced=frozenset(at[index] for index in plan.forced),
        snapshot=snapshot,
    )


def refused_readers(loaded: Loaded, plan: Plan) -> dict[int, Stopped]:
    """Return the steps of a plan that must not be built, and why.

    They read adopted data that has changed since, or would overwrite data that was adopted where
    it lies. Each place is listed once.
    """
    from marin_build.plan.outcomes import Stopped
    from marin_build.run_step.output_folder import ADOPTED_HERE, was_adopted_here, way_to_rebuild

    refused: dict[int, Stopped] = {}
    for index in plan.rebuilt_anyway:
        seen, output = plan.snapshot.of(index), plan.targets.all[index].output_path
        is_here = seen.built is not None and seen.built.adopted_from == output
        if is_here or (seen.damage is not None and was_adopted_here(loaded.store, output)):
            refused[index] = Stopped(ADOPTED_HERE, way_to_rebuild(output))
    if not loaded.adopted:
        return refused
    with ThreadPoolExecutor(_LISTINGS_AT_ONCE) as pool:
        changes = list(pool.map(lambda place: _change(loaded, place), loaded.adopted.values()))
    changed = {
        plan.targets.by_id[id_]: (id_, words)
        for id_, words in zip(loaded.adopted, changes, strict=True)
        if words
    }
    for index in plan.to_build if changed else ():
        for dep in plan.targets.deps[index]:
            if dep in changed:
                id_, words = changed[dep]
                place = loaded.adopted[id_].location
                refused[index] = Stopped(
                    f"the data adopted for `{id_}` is not what it was: {words}",
                    f"put back what was at `{place}`, or adopt what is there now with --force",
                )
    return refused


def _change(loaded: Loaded, place: AdoptedData) -> str:
    """Return how adopted data differs from what was adopted, in words; empty if it does not."""
    from marin_build.protocol.manifest import differences, manifest_of, read_manifest, shortened
    from marin_build.store.open_store import open_store

    try:
        found = manifest_of(open_store(place.location), place.location)
        expected = read_manifest(loaded.store, place.output, place.attempt)
    except StoreError as error:
        return error.what
    if expected is not None:
        return ", ".join(shortened(differences(expected, found)))
    size = sum(file.size for file in found)
    if (len(found), size) == (place.files, place.size):
        return ""
    return f"{len(found)} files of {size} B, not {place.files} of {place.size} B"
