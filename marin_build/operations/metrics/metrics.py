"""The numbers that built targets returned, beside the attributes in which these targets differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.observe.read_builds import newest_first
from marin_build.observe.read_hashed_steps import hashed_step, read_hashed_steps
from marin_build.observe.read_metrics import read_metrics
from marin_build.operations.metrics.targets_to_measure import find_targets_to_measure
from marin_build.operations.planning.estimate import prices_of
from marin_build.plan.metrics.metrics_table import MeasuredTarget, metrics_table
from marin_build.text.readable import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.observe.read_metrics import MeasuredOutput
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.metrics.targets_to_measure import TargetsToMeasure, TargetToMeasure
    from marin_build.pipeline.resources import ResourceConfig
    from marin_build.plan.metrics.hashed_step import HashedStep
    from marin_build.plan.metrics.metrics_table import MetricsTable
    from marin_build.plan.prices import Prices


@dataclass(frozen=True, slots=True)
class FoundMetrics:
    """A table of metrics, and what is to be said of targets that are not in it."""

    table: MetricsTable
    notes: tuple[str, ...]


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


def read_metrics_table(
    options: PipelineOptions, request: MetricsRequest, *, may_recall: bool = True
) -> FoundMetrics:
    """Read the numbers of targets, and compare the attributes of these.

    A target that is not built, or returned no number, is not in the table: a note names it.

    Args:
        options: name the pipeline and its prefix.
        request: what is asked for.
        may_recall: let records answer where the pipeline cannot; the notes say so.

    Raises:
        MarinBuildError: the pipeline does not load, and no build stands for a word.
        UsageError: a word selects nothing, or names no column or run.
        StoreError: the store cannot be read.

    """
    asked = find_targets_to_measure(options, request.targets, request.runs, may_recall=may_recall)
    return _measure(asked.with_every_build() if request.every_identity else asked, request)


def _measure(asked: TargetsToMeasure, request: MetricsRequest) -> FoundMetrics:
    targets = asked.targets
    read = read_metrics(asked.store, [(each.name, each.target, each.path) for each in targets])
    pairs = list(zip(targets, read, strict=True))
    if request.every_identity:
        pairs = _newest_first(pairs)
    notes = [*asked.notes, *_notes_on(pairs, says_unbuilt=not request.every_identity)]
    rows = [(each, m) for each, m in pairs if m.metrics]
    others = [each for each, m in rows if _is_other(each, m)]
    if others and request.runs:
        rows = [(each, m) for each, m in rows if not _is_other(each, m)]
        notes.append(f"{_some(others)}: built with another identity since")
    elif others:
        notes.append(
            f"{_some(others)}: built with another identity than is declared, and shown with it"
        )
    steps, keys = _hashed_steps(asked, rows)
    has_price = any(each.resources is not None for each, _ in rows)
    prices = prices_of(asked.loaded) if asked.loaded is not None and has_price else None
    measured = [measured_target(m, each.run, each.resources, prices) for each, m in rows]
    table = metrics_table(measured, keys, steps, request.columns if rows else ())
    return FoundMetrics(table.sorted_by(request.sort) if rows else table, tuple(notes))


def _newest_first(
    pairs: Sequence[tuple[TargetToMeasure, MeasuredOutput]],
) -> list[tuple[TargetToMeasure, MeasuredOutput]]:
    """Return the builds of each name, newest first, without folders that hold something else."""
    by_name: dict[str, dict[str, tuple[TargetToMeasure, MeasuredOutput]]] = {}
    for pair in pairs:
        by_name.setdefault(pair[0].name, {})[pair[0].path] = pair
    return [
        own[output.path]
        for own in by_name.values()
        for output in newest_first(measured.output for _, measured in own.values())
    ]


def _notes_on(
    pairs: Sequence[tuple[TargetToMeasure, MeasuredOutput]], *, says_unbuilt: bool
) -> list[str]:
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


def _some(targets: Sequence[TargetToMeasure]) -> str:
    return some_of([f"`{each.target}`" for each in targets])


def _hashed_steps(
    asked: TargetsToMeasure, rows: Sequence[tuple[TargetToMeasure, MeasuredOutput]]
) -> tuple[dict[str, HashedStep], list[str]]:
    """Return the steps by key, and the key of each row; what built an output counts."""
    steps = dict(asked.declared)
    for each, measured in rows:
        if each.path not in steps or _is_other(each, measured):
            step = hashed_step(measured.record, None, each.path, asked.prefix)
            if step is not None:
                steps[each.path] = step
    keys = [each.path for each, _ in rows]
    wanted = {dep for step in steps.values() for dep in step.deps.values()}
    steps |= read_hashed_steps(asked.store, asked.prefix, steps, [*keys, *wanted])
    return steps, keys


def _is_other(each: TargetToMeasure, measured: MeasuredOutput) -> bool:
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
