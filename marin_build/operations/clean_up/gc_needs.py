"""What `gc` keeps: what pipelines declare, here and at git revisions, and what runs use now."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from marin_build.apply.run_folder import find_runs
from marin_build.errors import MarinBuildError, UsageError
from marin_build.operations.loading.find_pipeline import refuse_without_file
from marin_build.operations.loading.git_revisions import list_commits
from marin_build.operations.loading.git_worktree import commit_of, top_level, unknown_revision
from marin_build.operations.loading.options import command_line
from marin_build.operations.loading.other_process import loading_elsewhere
from marin_build.plan.later_selection import what_waits
from marin_build.plan.reachability import Needs
from marin_build.protocol.layout import output_under
from marin_build.text.secret_shapes import without_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.reachability import Inventoried
    from marin_build.protocol.lease import Lease


NOTHING_DELETED = "nothing was marked or deleted"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the user wants kept, beside the pipeline itself.

    Args:
        revisions: git revisions of the pipeline.
        files: further pipelines, as `-f` names them.
        parameters: further sets of parameters of the pipeline.
        newest: how many builds of each name, the newest ones.

    """

    revisions: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    parameters: tuple[Mapping[str, str], ...] = ()
    newest: int = 2


@dataclass(frozen=True, slots=True)
class InUse:
    """What runs that go on build from.

    Args:
        targets: id of a target -> the run that may read it.
        strangers: outputs that a run builds from inputs which nothing here tells.

    """

    targets: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[Inventoried, ...] = ()


def read_needs(
    loaded: Loaded, options: PipelineOptions, kept: Kept, outputs: Iterable[Inventoried]
) -> tuple[Needs, InUse]:
    """Return what is to be kept.

    Args:
        loaded: the pipeline and its store.
        options: named it.
        kept: what else is to be kept.
        outputs: all outputs under the prefix.

    Raises:
        UsageError: a revision is unknown, has no such pipeline, or a pipeline declares nothing.
        SpecificationError: a pipeline cannot be loaded.
        StoreError: the store cannot be read.

    """
    prefix = loaded.workspace.prefix
    declared: dict[str, str] = {}
    paths: dict[str, str] = {}
    names: set[str] = set()
    for target in loaded.targets.all:
        declared[target.id] = paths[target.output_path] = loaded.file
        names.add(target.name)
    if not declared:
        raise _declares_nothing(loaded.file)
    _refuse_unknown(loaded.file, what_waits(loaded.targets), command_line("apply", options))
    for where, listing, way in _listings(loaded, options, kept):
        if not listing.entries:
            raise _declares_nothing(where)
        _refuse_unknown(where, listing.waiting, way)
        for entry in listing.entries:
            declared.setdefault(entry.id, where)
            paths.setdefault(output_under(prefix, entry.name, entry.id), where)
            names.add(entry.name)
    in_use = _in_use(loaded, outputs, declared)
    needs = Needs(
        declared,
        paths,
        in_use.targets,
        names,
        {target.name for target in loaded.targets.all if target.step.keep},
        kept.newest,
    )
    return needs, in_use


def _declares_nothing(where: str) -> UsageError:
    return UsageError(
        f"{where} declares no steps: nothing would be needed", consequence=NOTHING_DELETED
    )


def _refuse_unknown(where: str, waiting: str, way: str) -> None:
    """Refuse a pipeline not all of whose steps are known: their outputs would count as unneeded."""
    if waiting:
        raise UsageError(
            f"not all steps of {where} are known",
            facts=[("not known yet", waiting)],
            consequence=NOTHING_DELETED,
            hint=f"{way} builds what they wait for, or says why there are none",
        )


def _listings(
    loaded: Loaded, options: PipelineOptions, kept: Kept
) -> Iterator[tuple[str, Listing, str]]:
    """Yield the targets of all pipelines but the loaded one.

    Each comes with what it is called, and with the words that tell how to build it.
    """
    given = options
    options = replace(options, prefix=loaded.workspace.prefix, on_progress=None)
    if kept.revisions or kept.parameters:
        refuse_without_file(loaded.pipeline.program, "other forms of it cannot be loaded")
    if kept.revisions:
        file = loaded.pipeline.module.named_by_path
        named = replace(options, file=file, no_analysis=True)  # what is deleted is known by a load
        top = top_level(loaded.workspace.project)
        commits = [(revision, _commit(top, revision)) for revision in kept.revisions]
        listings = list_commits(top, commits, named)
        for revision, listing in zip(kept.revisions, listings, strict=True):
            where = f"{loaded.file} at {revision}"
            if listing.pipeline is None:
                raise UsageError(
                    f"there is no pipeline `{loaded.file}` at {revision}",
                    consequence=NOTHING_DELETED,
                )
            yield where, listing, f"at {revision}, {command_line('apply', given)}"
    for file in kept.files:
        way = command_line("apply", replace(given, file=file, parameters=None))
        yield file, _listed(file, replace(options, file=file, parameters=None)), way
    for parameters in kept.parameters:
        words = pairs_text(parameters)
        where = f"{loaded.file} with {words}"
        merged = {**(options.parameters or {}), **parameters}
        way = command_line("apply", replace(given, parameters=merged))
        yield where, _listed(where, replace(options, parameters=merged)), way


def pairs_text(parameters: Mapping[str, str]) -> str:
    """Return parameters as `--keep-set` has them, without what may be a secret."""
    return ",".join(f"{key}={without_secret(key, value)}" for key, value in parameters.items())


def _commit(top: str, revision: str) -> str:
    commit = commit_of(top, revision)
    if commit is None:
        raise unknown_revision(
            top, revision, f"`--keep-rev {revision}`: git knows no such revision"
        )
    return commit


def _listed(where: str, options: PipelineOptions) -> Listing:
    with loading_elsewhere(options) as other:
        listing = other.listing(f"({where})")
    if listing.pipeline is None:
        raise UsageError(
            f"there is no pipeline `{where}`",
            facts=[("looked in", os.getcwd())],
            consequence=NOTHING_DELETED,
        )
    return listing


def _in_use(loaded: Loaded, outputs: Iterable[Inventoried], declared: Mapping[str, str]) -> InUse:
    """Return what the holders of leases may read: what their plans name, or what is declared."""
    held = [it for it in outputs if it.is_held and it.lease is not None and _may_read(it.lease)]
    targets: dict[str, str] = {}
    strangers: list[Inventoried] = []
    plans: dict[str, dict[str, Sequence[str]] | None] = {}
    for output in held:
        assert output.lease is not None
        run = output.lease.run
        if run not in plans:
            plans[run] = _planned(loaded, run)
        planned = plans[run]
        if planned is not None and output.target in planned:
            targets.update(dict.fromkeys(planned, f"run {run}"))
        elif output.target not in declared or "@" in output.target:
            strangers.append(output)  # under a version another identity may be built
    return InUse(targets, tuple(strangers))


def _may_read(lease: Lease) -> bool:
    """Return whether the holder of a lease may read other outputs."""
    return not lease.is_sealed and not lease.is_collecting


def _planned(loaded: Loaded, run: str) -> dict[str, Sequence[str]] | None:
    """Return the targets of the plan of a run, each with what it needs; None if it left none."""
    try:
        found = find_runs(loaded.store, loaded.workspace.prefix, [run]).get(run) if run else None
    except MarinBuildError:
        return None
    if found is None:
        return None
    return {decision.target: decision.deps for decision in found.plan.decisions}
