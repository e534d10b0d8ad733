"""What changed in attributes and numbers between two versions of a pipeline, side by side."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import NotFoundError
from marin_build.observe.read_metrics import read_metrics
from marin_build.operations.loading.git_worktree import merge_base
from marin_build.operations.loading.place import open_place
from marin_build.operations.metrics.metrics import measured_target
from marin_build.operations.saved_plans.diff import checkout_of, compare
from marin_build.pipeline.glob_patterns import compile_patterns
from marin_build.plan.document import PLAN_FILE
from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.metrics.metrics_changes import ChangedTarget, changes_of
from marin_build.plan.targets_diff import Kind
from marin_build.protocol.layout import output_under
from marin_build.text.readable import did_you_mean, some_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.operations.saved_plans.diff import Comparison, Side
    from marin_build.plan.match_entries import Entry
    from marin_build.plan.metrics.metrics_table import MeasuredTarget
    from marin_build.plan.targets_diff import TargetDifference


_SAME_OUTPUT = (Kind.CODE, Kind.DECISION)
"""Differences that leave the output where it is: its numbers are the same."""


@dataclass(frozen=True, slots=True)
class ChangedMetrics:
    """What changed between two versions.

    Args:
        old, new: the two versions.
        targets: those that changed and have numbers, on one side at least.
        same: how many targets are the same, and so are their numbers.
        notes: what is to be said of targets without numbers, and what is not known of a version.

    """

    old: Side
    new: Side
    targets: tuple[ChangedTarget, ...]
    same: int
    notes: tuple[str, ...]


def diff_metrics(
    options: PipelineOptions,
    versions: str,
    words: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> ChangedMetrics:
    """Compare the numbers of two versions of a pipeline.

    Args:
        options: name the pipeline and its prefix.
        versions: `OLD`, to be compared with the files as they are; `OLD..NEW`; or `OLD...NEW` for
            git revisions, where the commit counts at which both parted. A version is a git
            revision, a run or a plan directory.
        words: names, ids or globs over names; none: all targets.
        columns: names or globs of the attributes and numbers to compare; none: all.

    Raises:
        UsageError: a version is none, or a word names no target of either.
        StoppedError: a plan that was edited.
        StoreError: the store cannot be read.

    """
    place = open_place(options)
    comparison = compare(*_two_versions(options, versions), options)
    _refuse_unknown(comparison, words)
    pairs = [
        each
        for each in comparison.diff.differences
        if each.kind not in _SAME_OUTPUT
        and any(_is_chosen(entry, words) for entry in (each.old, each.new))
    ]
    measured = _read(place, [entry for each in pairs for entry in (each.old, each.new) if entry])
    steps = {
        **_hashed_steps("old", comparison.old.entries, [each.old for each in pairs]),
        **_hashed_steps("new", comparison.new.entries, [each.new for each in pairs]),
    }
    wanted = compile_patterns(columns) if columns else lambda _name: True
    changed = [_changed(each, measured, steps, wanted) for each in pairs]
    found = tuple(each for each in changed if each.old is not None or each.new is not None)
    unbuilt = [
        f"`{id_}`"
        for each in found
        for id_, built in ((each.old_id, each.old), (each.new_id, each.new))
        if id_ is not None and built is None
    ]
    notes = (
        [f"{some_of(unbuilt)} {'is' if len(unbuilt) == 1 else 'are'} not built"] if unbuilt else []
    )
    chosen = sum(_is_chosen(entry, words) for entry in comparison.new.entries)
    same = chosen - sum(each.new is not None for each in pairs)
    notes = [*comparison.notes, *notes]
    return ChangedMetrics(comparison.old, comparison.new, found, same, tuple(notes))


def _changed(
    each: TargetDifference,
    measured: Mapping[tuple[str, str], MeasuredTarget],
    steps: Mapping[str, HashedStep],
    wanted: Callable[[str], bool],
) -> ChangedTarget:
    old, new = (measured.get(_key(e)) if e is not None else None for e in (each.old, each.new))
    old_id, new_id = (e.id if e is not None else None for e in (each.old, each.new))
    keys = (f"old {old_id}" if old_id else None, f"new {new_id}" if new_id else None)
    changes = (c for c in changes_of(steps, keys, old, new) if wanted(c.name))
    return ChangedTarget(each.entry.name, old_id, new_id, old, new, tuple(changes))


def _two_versions(options: PipelineOptions, versions: str) -> tuple[str, str | None]:
    """Return the two sides that a word names; None stands for the files as they are."""
    if os.path.isfile(os.path.join(versions, PLAN_FILE)):
        return versions, None
    if "..." in versions:
        old, _, new = versions.partition("...")
        return merge_base(checkout_of(options), old or "HEAD", new or "HEAD"), new or "HEAD"
    old, dots, new = versions.partition("..")
    if not dots:
        return versions, None
    return old or "HEAD", new or "HEAD"


def _refuse_unknown(comparison: Comparison, words: Sequence[str]) -> None:
    """Refuse a word that names no target of either side."""
    every = [*comparison.new.entries, *comparison.old.entries]
    for word in words:
        if not any(_is_chosen(entry, [word]) for entry in every):
            old, new = comparison.old.shown, comparison.new.shown
            raise NotFoundError(
                f"no target is called `{word}`, neither in {old} nor in {new}",
                facts=[("TARGET", "with --diff a name, an id or a glob over names")],
                consequence="nothing was compared",
                hint=did_you_mean(word, dict.fromkeys(entry.name for entry in every)),
            )


def _is_chosen(entry: Entry | None, words: Sequence[str]) -> bool:
    """Return whether a word names a target; without words every one is chosen."""
    if entry is None:
        return False
    return not words or entry.id in words or compile_patterns(words)(entry.name)


def _key(entry: Entry) -> tuple[str, str]:
    return entry.id, entry.fingerprint


def _read(place: Place, entries: Sequence[Entry]) -> dict[tuple[str, str], MeasuredTarget]:
    """Return what targets returned; without those that have no number, or are another build."""
    places = [(each.name, each.id, _output_of(place, each)) for each in entries]
    found = {}
    for entry, measured in zip(entries, read_metrics(place.store, places), strict=True):
        built = measured.output.built
        if measured.metrics and (built is None or built.fingerprint == entry.fingerprint):
            found[_key(entry)] = measured_target(measured)
    return found


def _output_of(place: Place, entry: Entry) -> str:
    if not entry.output:
        return output_under(place.prefix, entry.name, entry.id)
    return place.output_at(entry.output)


def _hashed_steps(
    side: str, entries: Iterable[Entry], wanted: Iterable[Entry | None]
) -> dict[str, HashedStep]:
    """Return key -> step, of some targets of a side and of all that they need."""
    by_id = {entry.id: entry for entry in entries}
    pending = [entry.id for entry in wanted if entry is not None]
    found: dict[str, HashedStep] = {}
    while pending:
        entry = by_id.get(pending.pop())
        if entry is None or f"{side} {entry.id}" in found:
            continue
        deps = {dep: f"{side} {dep}" for dep in entry.deps}
        payload = json.loads(entry.payload)
        found[f"{side} {entry.id}"] = HashedStep(entry.name, payload, entry.version, deps)
        pending.extend(entry.deps)
    return found
