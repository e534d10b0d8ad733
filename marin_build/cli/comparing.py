"""The two sides of `diff`: what the user named, and the targets there."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from marin_build.cli.options import PipelineOptions
from marin_build.cli.plan_directory import find_project_of_plan, read_plan_directory
from marin_build.cli.revisions import list_commits
from marin_build.cli.session import pipeline_file
from marin_build.cli.worktrees import commit_of, top_level, unknown_revision
from marin_build.diff import Entry
from marin_build.emit.directory import PLAN_FILE
from marin_build.errors import MarinBuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.cli.listing import Listing
    from marin_build.emit.document import PlanDocument

WORKING_TREE = "the working tree"


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Args:
        kind: where it was read.
        label: how it is called: a folder, a revision, the working tree.
        commit: of a revision.
        pipeline: the pipeline file; None if the revision has none.
        entries: the targets.
        is_complete: whether all targets of the pipeline are among them.

    """

    kind: Literal["plan", "revision", "working tree"]
    label: str
    commit: str | None
    pipeline: str | None
    entries: tuple[Entry, ...]
    is_complete: bool = True

    @property
    def shown(self) -> str:
        """Return the label, with the commit where that says more."""
        if self.commit is None or self.commit.startswith(self.label):
            return self.label
        return f"{self.label} ({self.commit[:8]})"


def read_sides(old: str, new: str | None, options: PipelineOptions) -> tuple[Side, Side]:
    """Read both sides; without `new`, the files as they are.

    Raises:
        UsageError: a side is neither plan nor revision, or no side has the pipeline.
        StoppedError: a plan that was edited.

    """
    names = [old, new]
    plans = {name: read_plan_directory(name) for name in names if name and _is_plan(name)}
    rest = [name for name in names if name is None or name not in plans]
    sides: dict[str | None, Side] = {
        name: _plan_side(name, document, options) for name, document in plans.items()
    }
    if rest:
        sides |= dict(zip(rest, _revision_sides(rest, options), strict=True))
    before, after = sides[old], sides[new]
    if before.pipeline is None and after.pipeline is None:
        raise UsageError(
            f"there is no pipeline, neither in {before.shown} nor in {after.shown}",
            facts=[("looked for", os.path.relpath(pipeline_file(options)[0]))],
            consequence="nothing was compared",
            hint="name one with -f",
        )
    return before, after


def _is_plan(name: str) -> bool:
    return os.path.isfile(os.path.join(name, PLAN_FILE))


def _revision_sides(names: list[str | None], options: PipelineOptions) -> list[Side]:
    top = top_level(os.path.dirname(os.path.abspath(options.file)) if options.file else os.getcwd())
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
            commit,
            listings[commit].pipeline,
            listings[commit].entries,
        )
        for name, commit in commits
    ]


def _commit(top: str, name: str) -> str:
    commit = commit_of(top, name)
    if commit is None:
        what = f"`{name}` is neither a plan directory nor a git revision"
        raise unknown_revision(top, name, what)
    return commit


def _plan_side(folder: str, document: PlanDocument, options: PipelineOptions) -> Side:
    """Return a saved plan's targets.

    A plan keeps neither payloads nor what it pruned. Both are filled in from the pipeline as it is,
    as far as that still declares the plan's targets.
    """
    known = _declared_now(folder, document, options)
    entries = [
        Entry(
            id=decision.target,
            name=decision.name,
            fingerprint=decision.fingerprint,
            version=_version(decision.target, decision.name),
            deps=decision.deps,
            declared=decision.declared,
            payload=known[decision.target].payload if decision.target in known else None,
            code=decision.code_digest,
            decision="reuse" if decision.decision == "pruned" else decision.decision,
        )
        for decision in document.decisions
    ]
    is_complete = document.summary.get("pruned", 0) == 0
    if not is_complete and all(entry.payload is not None for entry in entries):
        entries.extend(_pruned(document, known))
        is_complete = True
    return Side("plan", folder, None, document.pipeline, tuple(entries), is_complete)


def _pruned(document: PlanDocument, known: dict[str, Entry]) -> Iterator[Entry]:
    """Yield what the plan's request reaches and the plan does not list: it counts as reused."""
    listed = {decision.target for decision in document.decisions}
    pending = list(document.requested)
    seen = set(pending)
    while pending:
        entry = known[pending.pop()]
        if entry.id not in listed:
            yield replace(entry, code=None, decision="reuse")
        fresh = [dep for dep in entry.deps if dep not in seen]
        seen.update(fresh)
        pending.extend(fresh)


def _version(target: str, name: str) -> str | None:
    return target.removeprefix(f"{name}@") if target.startswith(f"{name}@") else None


def _declared_now(
    folder: str, document: PlanDocument, options: PipelineOptions
) -> dict[str, Entry]:
    """Return what the plan's pipeline declares now of the plan's targets, with all they need."""
    try:
        project = os.path.realpath(find_project_of_plan(folder, document, os.environ, os.getcwd()))
        now = PipelineOptions(
            file=os.path.join(project, document.pipeline),
            profile=options.profile,
            parameters=document.parameters,
            code=document.code or "report",
        )
        (listing,) = list_commits(project, [(folder, None)], now)
    except MarinBuildError:  # what cannot be loaded declares nothing
        return {}
    planned = {decision.target: decision.fingerprint for decision in document.decisions}
    return {
        entry.id: entry
        for entry in listing.entries
        if planned.get(entry.id, entry.fingerprint) == entry.fingerprint
    }
