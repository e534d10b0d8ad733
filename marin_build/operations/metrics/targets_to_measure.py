"""Which targets `metrics` measures: by the pipeline, by runs, or by what lies under the prefix."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.observe.read_builds import list_places
from marin_build.operations.loading.kept_analysis import load_to_read
from marin_build.operations.loading.place import open_place
from marin_build.operations.outputs.find_outputs import stored_identity
from marin_build.operations.outputs.recall import Recalled, load_or_recall, recall_run
from marin_build.operations.planning.choose_targets import choose
from marin_build.plan.metrics.hashed_step import HashedStep

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class TargetToMeasure:
    """A target that was asked for.

    Args:
        name, target, path: the step's name, the target's id and the output path.
        fingerprint: what is declared; None: what is there counts.
        resources: what its step asks for, if that is known.
        run: the run that it was asked for as a part of; empty: any.

    """

    name: str
    target: str
    path: str
    fingerprint: str | None = None
    resources: ResourceConfig | None = None
    run: str = ""


@dataclass(frozen=True, slots=True)
class TargetsToMeasure:
    """What was asked for.

    Args:
        targets: in the order of the pipeline; those that words named by identity come first.
        store, prefix: where they live.
        declared: output path -> step, of these targets and all that they need, as the pipeline
            declares them now; empty where it does not.
        loaded: the pipeline; None if it was not asked.
        notes: why the pipeline was not asked, or did not know, in words.

    """

    targets: tuple[TargetToMeasure, ...]
    store: Store
    prefix: str
    declared: Mapping[str, HashedStep]
    loaded: Loaded | None = None
    notes: tuple[str, ...] = ()

    def with_every_build(self) -> TargetsToMeasure:
        """Return all folders that may be builds of the names of these targets, and these targets.

        Raises:
            StoreError: the store cannot be listed.

        """
        resources = {each.name: each.resources for each in self.targets}
        found = list_places(self.store, self.prefix, list(resources))
        listed = {path for *_, path in found}
        every = [TargetToMeasure(*each, resources=resources[each[0]]) for each in found]
        others = (each for each in self.targets if each.path not in listed)
        return replace(self, targets=(*every, *others))


def find_targets_to_measure(
    options: PipelineOptions,
    words: Sequence[str],
    runs: Sequence[str] = (),
    *,
    may_recall: bool = True,
) -> TargetsToMeasure:
    """Find targets; they need not be built.

    Args:
        options: name the pipeline and its prefix.
        words: selectors, and words that name one identity; none: the requested targets.
        runs: where to look, instead of in the pipeline.
        may_recall: let records answer where the pipeline does not load, or declares no such name;
            the notes say so.

    Raises:
        MarinBuildError: the pipeline does not load, and no build stands for a word.
        UsageError: a word selects nothing, or there is no such run.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    if runs:
        of_runs: list[TargetToMeasure] = []
        for run in runs:
            id_, planned = recall_run(options, run)
            found = _of_targets(planned, choose(planned, words))
            of_runs += [replace(each, run=id_) for each in found]
        return TargetsToMeasure(tuple(of_runs), place.store, place.prefix, {})
    named: dict[str, TargetToMeasure] = {}
    rest: list[str] = []
    for word in words:
        stored = stored_identity(place, word)
        if stored is not None:
            named[stored.path] = TargetToMeasure(stored.name, stored.target, stored.path)
        else:
            rest.append(word)
    if words and not rest:
        return TargetsToMeasure(tuple(named.values()), place.store, place.prefix, {})
    if may_recall:
        recalled = load_or_recall(options, rest)
    else:
        recalled = Recalled(load_to_read(options, needed=rest), tuple(rest))
    loaded = recalled.loaded
    selected = _of_targets(loaded, choose(loaded, recalled.selectors))
    targets = (*named.values(), *(each for each in selected if each.path not in named))
    known = declared_steps(loaded, selected) if recalled.is_declared else {}
    return TargetsToMeasure(targets, loaded.store, place.prefix, known, loaded, recalled.notes)


def targets_of(loaded: Loaded, chosen: Iterable[int]) -> TargetsToMeasure:
    """Return some targets of a loaded pipeline."""
    targets = tuple(_of_targets(loaded, chosen))
    known = declared_steps(loaded, targets)
    return TargetsToMeasure(targets, loaded.store, loaded.workspace.prefix, known, loaded)


def _of_targets(loaded: Loaded, chosen: Iterable[int]) -> list[TargetToMeasure]:
    every = (loaded.targets.all[index] for index in chosen)
    return [
        TargetToMeasure(t.name, t.id, t.output_path, t.fingerprint or None, t.step.resources)
        for t in every
    ]


def declared_steps(loaded: Loaded, wanted: Iterable[TargetToMeasure]) -> dict[str, HashedStep]:
    """Return output path -> step, of declared targets and of all that they need."""
    targets = loaded.targets
    by_path = {target.output_path: index for index, target in enumerate(targets.all)}
    pending = [by_path[each.path] for each in wanted]
    found: dict[int, HashedStep] = {}
    while pending:
        index = pending.pop()
        if index in found:
            continue
        target = targets.all[index]
        deps = {targets.all[dep].id: targets.all[dep].output_path for dep in targets.deps[index]}
        payload = json.loads(target.step.payload)
        found[index] = HashedStep(target.name, payload, target.step.version, deps)
        pending.extend(targets.deps[index])
    return {targets.all[index].output_path: step for index, step in found.items()}
