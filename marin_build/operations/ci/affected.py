"""The targets that a change reaches: by identity and code digests, not by names of files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.operations.ci.review_base import review_base
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.git_worktree import top_level
from marin_build.operations.saved_plans.diff import compare
from marin_build.plan.targets_diff import Kind

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.match_entries import Entry


@dataclass(frozen=True, slots=True)
class Reached:
    """A target that a change reaches.

    Args:
        name, target: the step's name and the target's id.
        declared: file and line of its declaration.
        why: what differs, in words.

    """

    name: str
    target: str
    declared: str
    why: str


@dataclass(frozen=True, slots=True)
class Affected:
    """What a change reaches.

    Args:
        base: the commit that it was compared with.
        targets: those that differ or appeared, and all that need them, in the order of the graph.
        vanished: ids of targets that are declared no more.
        same: how many targets it does not reach.
        notes: what was fetched, and what is not known yet, in words.

    """

    base: str
    targets: tuple[Reached, ...]
    vanished: tuple[str, ...]
    same: int
    notes: tuple[str, ...]


def affected_targets(options: PipelineOptions, base: str, *, fetches: bool = True) -> Affected:
    """Return the targets that differ from those of the commit that a change began at.

    Args:
        options: name the pipeline.
        base: a revision, whose merge base with HEAD counts, or `A...HEAD`.
        fetches: whether a clone that lacks the commit may fetch it.

    Raises:
        UsageError: there is no such revision, or a pipeline cannot be loaded.

    """
    file = pipeline_file(options)[0].file if options.file else ""
    found = review_base(top_level(os.path.dirname(file) or os.getcwd()), base, fetches=fetches)
    comparison = compare(found.commit, None, options)
    differences = comparison.diff.differences
    why = {
        each.new.id: ", ".join(each.reasons()) or each.kind.value
        for each in differences
        if each.new
    }
    entries = comparison.new.entries
    reached = _with_consumers(entries, why)
    return Affected(
        found.commit,
        tuple(Reached(e.name, e.id, e.declared, reached[e.id]) for e in entries if e.id in reached),
        tuple(each.entry.id for each in differences if each.kind is Kind.VANISHED),
        len(entries) - len(reached),
        (*found.notes, *comparison.notes),
    )


def _with_consumers(entries: tuple[Entry, ...], why: dict[str, str]) -> dict[str, str]:
    """Return why each target is reached; one that needs a reached one is reached, too.

    Args:
        entries: all targets, dependencies first.
        why: id of each target that differs -> how.

    """
    names = {entry.id: entry.name for entry in entries}
    reached = dict(why)
    for entry in entries:
        if entry.id not in reached and (dep := next((d for d in entry.deps if d in reached), None)):
            reached[entry.id] = f"needs {names[dep]}"
    return reached
