"""Compares the targets of two sides: saved plans, runs, git revisions or the working tree."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from marin_build.apply.run_folder import find_runs, may_be_run, no_such_run
from marin_build.errors import UsageError
from marin_build.identity.payload import fingerprint_of
from marin_build.operations.loading.find_pipeline import (
    pipeline_file,
    prefix_of,
    refuse_without_file,
)
from marin_build.operations.loading.git_revisions import list_commits
from marin_build.operations.loading.git_worktree import commit_of, top_level, unknown_revision
from marin_build.operations.loading.list_targets import output_inside
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.plan.document import PLAN_FILE
from marin_build.plan.match_entries import Entry
from marin_build.plan.targets_diff import diff_targets
from marin_build.store.open_store import open_store
from marin_build.text.readable import some_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.apply.run_folder import Run
    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.document import PlanDocument
    from marin_build.plan.targets_diff import TargetsDiff


WORKING_TREE = "the working tree"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Args:
        kind: where it was read.
        label: how it is called: a folder, a run, a revision, the working tree.
        pipeline: the pipeline file; None if the revision has none.
        entries: the targets.
        commit: of a revision.
        who: of a run: when and by whom.
        waiting: which expansions have no steps there, and what they wait for, in words.
        use: whether an earlier load told the targets, and if not why; empty: that is not known.

    """

    kind: Literal["plan", "run", "revision", "working tree"]
    label: str
    pipeline: str | None
    entries: tuple[Entry, ...]
    commit: str | None = None
    who: str | None = None
    waiting: str = ""
    use: str = ""

    @property
    def shown(self) -> str:
        """Return the label, with the commit or the person if the label does not tell it."""
        if self.who is not None:
            return f"{self.label} ({self.who})"
        if self.commit is None or self.commit.startswith(self.label):
            return self.label
        return f"{self.label} ({self.commit[:8]})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two sides, and how the targets of the new one differ from those of the old one."""

    old: Side
    new: Side
    diff: TargetsDiff

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not known of a side, in words; as a rule nothing."""
        return tuple(
            f"not known yet in {side.shown}: {side.waiting}"
            for side in (self.old, self.new)
            if side.waiting
        )

    @property
    def uses(self) -> tuple[str, ...]:
        """Of each side that is not a plan, whether it was loaded, and why."""
        sides = {side.shown: side for side in (self.old, self.new) if side.use}
        return tuple(f"`{side.pipeline}` in {shown} {side.use}" for shown, side in sides.items())


def compare(old: str, new: str | None, options: PipelineOptions) -> Comparison:
    """Compare the targets of two plans, runs or revisions.

    Args:
        old: a plan directory, a run (`r-1a2b3c4d`, or `latest`) or a git revision.
        new: another one; None: the files as they are.
        options: name the pipeline in revisions and files, and the prefix of runs.

    Raises:
        UsageError: a side is neither plan, run nor revision, or no side has the pipeline.
        StoppedError: a plan that was edited.
        StoreError: runs cannot be read.

    """
    names = [old, new]
    sides: dict[str | None, Side] = {
        name: _side_of_plan("plan", name, read_plan_directory(name))
        for name in names
        if name and os.path.isfile(os.path.join(name, PLAN_FILE))
    }
    runs = [name for name in names if name and name not in sides and may_be_run(name)]
    sides |= _sides_of_runs(runs, options)
    rest = [name for name in names if name not in sides]
    if rest:
        refuse_without_file(options.program, "the files, or a revision of them, cannot be compared")
        sides |= dict(zip(rest, _sides_of_revisions(rest, options), strict=True))
    before, after = sides[old], sides[new]
    if before.pipeline is None and after.pipeline is None:
        raise UsageError(
            f"there is no pipeline, neither in {before.shown} nor in {after.shown}",
            facts=[("looked for", pipeline_file(options)[0].named_from(os.getcwd()))],
            consequence="nothing was compared",
            hint="name one with --file",
        )
    return Comparison(before, after, diff_targets(before.entries, after.entries))


def _side_of_plan(kind: Literal["plan", "run"], label: str, document: PlanDocument) -> Side:
    waiting = "; ".join(
        f"`{each.name}` waits for {some_of(list(each.waits_for))}" for each in document.expansions
    )
    return Side(kind, label, document.pipeline, tuple(_entries(document)), waiting=waiting)


def _entries(document: PlanDocument) -> Iterator[Entry]:
    """Yield the targets of a plan; what it pruned counts as reused."""
    for decision in document.decisions:
        yield Entry(
            id=decision.target,
            name=decision.name,
            fingerprint=decision.fingerprint,
            version=_version(decision.target, decision.name),
            deps=decision.deps,
            declared=decision.declared,
            payload=decision.payload,
            code=decision.code_digest,
            decision=decision.decision,
            output=output_inside(decision.output_path, document.prefix),
        )
    for pruned in document.pruned:
        identity = json.loads(pruned.payload)
        yield Entry(
            id=pruned.target,
            name=identity["name"],
            fingerprint=fingerprint_of(pruned.payload),
            version=_version(pruned.target, identity["name"]),
            deps=tuple(identity["deps"]),
            declared=pruned.declared,
            payload=pruned.payload,
            decision="reuse",
        )


def _version(target: str, name: str) -> str | None:
    return target.removeprefix(f"{name}@") if target.startswith(f"{name}@") else None


def _sides_of_runs(names: Sequence[str], options: PipelineOptions) -> dict[str | None, Side]:
    """Return the sides that are runs. A name of no run must be that of a git revision."""
    if not names:
        return {}
    _, project, settings = pipeline_file(options)
    prefix = prefix_of(options, settings, project)
    store = open_store(prefix)
    runs = find_runs(store, prefix, names)
    for name in names:
        if name not in runs and not _is_revision(name, options):
            raise no_such_run(store, prefix, name)
    return {name: _side_of_run(run) for name, run in runs.items()}


def _side_of_run(run: Run) -> Side:
    side = _side_of_plan("run", run.id, run.plan)
    return replace(side, who=run.who.shown) if run.who is not None else side


def _is_revision(name: str, options: PipelineOptions) -> bool:
    try:
        return commit_of(checkout_of(options), name) is not None
    except UsageError:  # not in a git checkout
        return False


def checkout_of(options: PipelineOptions) -> str:
    """Return the top of the git checkout that holds the pipeline.

    Raises:
        UsageError: it is in none, or there is no git.

    """
    file = pipeline_file(options)[0].file if options.file else ""
    return top_level(os.path.dirname(file) or os.getcwd())


def _sides_of_revisions(names: Sequence[str | None], options: PipelineOptions) -> list[Side]:
    _, project, settings = pipeline_file(options)
    # Without a revision git is not asked: the files need not be in a checkout.
    top = checkout_of(options) if any(names) else os.path.realpath(project)
    # What expansions need is found where it was built, whichever checkout declares them.
    options = replace(options, prefix=prefix_of(options, settings, project))
    commits = [(name, _commit(top, name) if name is not None else None) for name in names]
    distinct = dict.fromkeys(commit for _, commit in commits)
    labels = {commit: name or WORKING_TREE for name, commit in reversed(commits)}
    listings: dict[str | None, Listing] = dict(
        zip(
            distinct,
            list_commits(top, [(labels[c], c) for c in distinct], options),
            strict=True,
        )
    )
    return [
        Side(
            "working tree" if name is None else "revision",
            name or WORKING_TREE,
            listings[commit].pipeline,
            listings[commit].entries,
            commit,
            waiting=listings[commit].waiting,
            use=listings[commit].use,
        )
        for name, commit in commits
    ]


def _commit(top: str, name: str) -> str:
    commit = commit_of(top, name)
    if commit is None:
        what = f"`{name}` is neither a plan directory, a run nor a git revision"
        raise unknown_revision(top, name, what)
    return commit
