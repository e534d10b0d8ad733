"""The numbers that built targets returned, beside the attributes in which these targets differ."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.observe.read_builds import list_places, newest_first
from marin_build.observe.read_hashed_steps import hashed_step, read_hashed_steps
from marin_build.observe.read_metrics import read_metrics
from marin_build.operations.estimate import prices_of
from marin_build.operations.find_outputs import stored_identity
from marin_build.operations.place import open_place
from marin_build.operations.plan import choose
from marin_build.operations.recall import load_or_recall, recall_run
from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.metrics.metrics_table import MeasuredTarget, metrics_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from marin_build.observe.read_metrics import MeasuredOutput
    from marin_build.operations.loading import Loaded
    from marin_build.operations.options import PipelineOptions
    from marin_build.operations.place import Place
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.plan.metrics.metrics_table import MetricsTable
    from marin_build.plan.prices import Prices
    from marin_build.store.base import Store


_SHOWN = 3
"""How many targets a note names."""


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """Which targets are asked for, and how they are shown.

    Args:
        targets: selectors, and words that name one identity; none: what the pipeline requests.
        every_identity: every build of the names of these targets, not only of what is declared.
        runs: the targets of these runs, not those that the pipeline declares.
        columns: names or globs of the columns to show; none: what differs, and all numbers.
        sort: columns to sort by; `-` before one: the largest value first.

    """

    targets: tuple[str, ...] = ()
    every_identity: bool = False
    runs: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundMetrics:
    """A table of metrics, and what is to be said of targets that are not in it."""

    table: MetricsTable
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
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


def read_metrics_table(options: PipelineOptions, request: MetricsRequest) -> FoundMetrics:
    """Read the numbers of targets, and compare the attributes of these.

    A target that is not built, or returned no number, is not in the table: a note names it.

    Args:
        options: name the pipeline and its prefix.
        request: what is asked for.

    Raises:
        MarinBuildError: the pipeline does not load, and no build stands for a word.
        UsageError: a word selects nothing, or names no column or run.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    asked, known, notes, loaded = _asked_for(options, place, request)
    store = loaded.store if loaded is not None else place.store
    if request.every_identity:
        asked = _every_build(store, place.prefix, asked)
    found = _found(store, place.prefix, asked, known, request, loaded)
    return replace(found, notes=(*notes, *found.notes))


def metrics_of(loaded: Loaded, chosen: Iterable[int]) -> FoundMetrics:
    """Return the table of some targets of a loaded pipeline.

    Raises:
        StoreError: the store cannot be read.

    """
    asked = _of_targets(loaded, chosen)
    known = declared_steps(loaded, [each.path for each in asked])
    return _found(loaded.store, loaded.workspace.prefix, asked, known, MetricsRequest(), loaded)


def _found(
    store: Store,
    prefix: str,
    asked: Sequence[_Asked],
    known: Mapping[str, HashedStep],
    request: MetricsRequest,
    loaded: Loaded | None,
) -> FoundMetrics:
    read = read_metrics(store, [(each.name, each.target, each.path) for each in asked])
    pairs = list(zip(asked, read, strict=True))
    if request.every_identity:
        pairs = _newest_first(pairs)
    notes = _notes_on(pairs, says_unbuilt=not request.every_identity)
    rows = [(each, m) for each, m in pairs if m.metrics]
    others = [each for each, m in rows if _is_other(each, m)]
    if others and request.runs:
        rows = [(each, m) for each, m in rows if not _is_other(each, m)]
        notes.append(f"{_some(others)} was built with another identity since")
    elif others:
        notes.append(
            f"{_some(others)} was built with another identity than is declared: that counts"
        )
    steps, keys = _hashed_steps(store, prefix, known, rows)
    has_price = any(each.resources is not None for each, _ in rows)
    prices = prices_of(loaded) if loaded is not None and has_price else None
    measured = [measured_target(m, each.run, each.resources, prices) for each, m in rows]
    table = metrics_table(measured, keys, steps, request.columns if rows else ())
    return FoundMetrics(table.sorted_by(request.sort) if rows else table, tuple(notes))


def _every_build(store: Store, prefix: str, asked: Sequence[_Asked]) -> list[_Asked]:
    """Return all folders that may be builds of the names of targets, and these targets."""
    resources = {each.name: each.resources for each in asked}
    found = list_places(store, prefix, list(resources))
    listed = {path for *_, path in found}
    every = [_Asked(*each, resources=resources[each[0]]) for each in found]
    return [*every, *(each for each in asked if each.path not in listed)]


def _asked_for(
    options: PipelineOptions, place: Place, request: MetricsRequest
) -> tuple[list[_Asked], dict[str, HashedStep], list[str], Loaded | None]:
    """Return the targets, the steps that the pipeline declares, notes, and the pipeline."""
    if request.runs:
        asked: list[_Asked] = []
        for run in request.runs:
            id_, planned = recall_run(options, run)
            chosen = choose(planned, request.targets)
            asked += [replace(each, run=id_) for each in _of_targets(planned, chosen)]
        return asked, {}, [], None
    named: list[_Asked] = []
    rest: list[str] = []
    for word in request.targets:
        stored = stored_identity(place, word)
        if stored is not None:
            named.append(_Asked(stored.name, stored.target, stored.path))
        else:
            rest.append(word)
    if request.targets and not rest:
        return named, {}, [], None
    recalled = load_or_recall(options, rest)
    loaded = recalled.loaded
    found = _of_targets(loaded, choose(loaded, recalled.selectors))
    paths = {each.path for each in named}
    asked = [*named, *(each for each in found if each.path not in paths)]
    if not recalled.is_declared:
        return asked, {}, list(recalled.notes), loaded
    return asked, declared_steps(loaded, [each.path for each in found]), [], loaded


def _of_targets(loaded: Loaded, chosen: Iterable[int]) -> list[_Asked]:
    every = (loaded.targets.all[index] for index in chosen)
    return [
        _Asked(t.name, t.id, t.output_path, t.fingerprint or None, t.step.resources) for t in every
    ]


def declared_steps(loaded: Loaded, paths: Iterable[str]) -> dict[str, HashedStep]:
    """Return output path -> step, of declared targets and of all that they need."""
    targets = loaded.targets
    by_path = {target.output_path: index for index, target in enumerate(targets.all)}
    pending = [by_path[path] for path in paths]
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


def _newest_first(
    pairs: Sequence[tuple[_Asked, MeasuredOutput]],
) -> list[tuple[_Asked, MeasuredOutput]]:
    """Return the builds of each name, newest first, without folders that hold something else."""
    by_name: dict[str, dict[str, tuple[_Asked, MeasuredOutput]]] = {}
    for pair in pairs:
        by_name.setdefault(pair[0].name, {})[pair[0].path] = pair
    return [
        own[output.path]
        for own in by_name.values()
        for output in newest_first(measured.output for _, measured in own.values())
    ]


def _notes_on(pairs: Sequence[tuple[_Asked, MeasuredOutput]], *, says_unbuilt: bool) -> list[str]:
    """Return what is to be said of targets that are not in the table."""
    notes = [
        f"what `{each.target}` returned is not readable: {m.damage}"
        for each, m in pairs
        if m.damage
    ]
    left = [each for each, m in pairs if m.output.is_built and not m.metrics and not m.damage]
    if left:
        notes.append(f"{_some(left)} returned no numbers")
    unbuilt = [each for each, m in pairs if not m.output.is_built]
    if unbuilt and says_unbuilt:
        notes.append(f"{_some(unbuilt)} {'is' if len(unbuilt) == 1 else 'are'} not built")
    return notes


def _some(targets: Sequence[_Asked]) -> str:
    ids = [each.target for each in targets]
    shown = ", ".join(f"`{id_}`" for id_ in ids[:_SHOWN])
    return shown if len(ids) <= _SHOWN else f"{shown} and {len(ids) - _SHOWN} more"


def _hashed_steps(
    store: Store,
    prefix: str,
    known: Mapping[str, HashedStep],
    rows: Sequence[tuple[_Asked, MeasuredOutput]],
) -> tuple[dict[str, HashedStep], list[str]]:
    """Return the steps by key, and the key of each row; what built an output counts."""
    steps = dict(known)
    for each, measured in rows:
        if each.path not in steps or _is_other(each, measured):
            step = hashed_step(measured.record, None, each.path, prefix)
            if step is not None:
                steps[each.path] = step
    keys = [each.path for each, _ in rows]
    wanted = {dep for step in steps.values() for dep in step.deps.values()}
    steps |= read_hashed_steps(store, prefix, steps, [*keys, *wanted])
    return steps, keys


def _is_other(each: _Asked, measured: MeasuredOutput) -> bool:
    """Return whether an output was built with another identity: at a version that is possible."""
    built = measured.output.built
    return built is not None and each.fingerprint not in (None, built.fingerprint)


def measured_target(
    measured: MeasuredOutput,
    run: str = "",
    resources: ResourceConfig | None = None,
    prices: Prices | None = None,
) -> MeasuredTarget:
    """Return a built output as a row of a table.

    Args:
        measured: the output.
        run: as a part of which it was asked for; empty: the run that built it.
        resources: what its step asks for.
        prices: what that costs; None if it is not known.

    """
    output, built = measured.output, measured.output.built
    seconds = built.seconds or None if built is not None else None
    cost = None
    if prices is not None and seconds is not None:
        cost = prices.cost_of(resources, seconds)
    return MeasuredTarget(
        output.target,
        output.name,
        measured.metrics,
        run or (built.run if built is not None else ""),
        output.end,
        seconds,
        cost,
    )
