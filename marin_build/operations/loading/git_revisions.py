"""A pipeline at git revisions: each is loaded in a worktree and a process of its own, or known."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build._package import FOLDER
from marin_build.errors import UsageError
from marin_build.operations.loading.find_pipeline import pipeline_file, refuse_without_file
from marin_build.operations.loading.git_worktree import (
    commit_of,
    git_environment,
    top_level,
    unknown_revision,
    worktree,
)
from marin_build.operations.loading.kept_analysis import list_without_load
from marin_build.operations.loading.kept_listings import kept_listings
from marin_build.operations.loading.list_targets import entries_of, read_listing
from marin_build.operations.loading.observed_listing import read_looked_at
from marin_build.operations.loading.options import PipelineOptions, words_of
from marin_build.plan.targets_diff import changed_entries
from marin_build.workspace.workspace import installed_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.kept_listings import KeptListing
    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.locate import PipelineModule


@dataclass(frozen=True, slots=True)
class Place:
    """A checkout, or the working tree, to load the pipeline in.

    Args:
        top: its folder.
        label: what messages call it.
        commit: None: the files as they are.

    """

    top: str
    label: str
    commit: str | None


def changed_targets(loaded: Loaded, revision: str) -> set[int]:
    """Return the targets whose identity or code is not that of a git revision."""
    refuse_without_file(loaded.pipeline.program, f"`changed-since:{revision}` cannot be asked")
    options = PipelineOptions(
        file=loaded.pipeline.module.named_by_path,
        parameters=loaded.pipeline.parameters,
        code=loaded.workspace.code,
        # What expansions need is found where it was built.
        prefix=loaded.workspace.prefix if loaded.targets.later else None,
        unbuilt=tuple(loaded.pipeline.unbuilt),
    )
    top = top_level(loaded.workspace.project)
    commit = commit_of(top, revision)
    if commit is None:
        what = f"`changed-since:{revision}`: git knows no such revision"
        raise unknown_revision(top, revision, what)
    (listing,) = list_commits(top, [(revision, commit)], options)
    changed = changed_entries(listing.entries, entries_of(loaded.targets))
    return {index for index, is_changed in enumerate(changed) if is_changed}


def list_commits(
    top: str, commits: Sequence[tuple[str, str | None]], options: PipelineOptions
) -> list[Listing]:
    """Return the targets at each commit, loaded side by side.

    Args:
        top: the top of the checkout.
        commits: label and commit; None for the files as they are.
        options: the pipeline, as it is named in this checkout.

    Raises:
        UsageError: a revision's pipeline cannot be loaded.

    """
    found: dict[str | None, Listing] = {}
    with ExitStack() as stack:
        loads: list[tuple[Place, subprocess.Popen[str], KeptListing | None]] = []
        listings = kept_listings(options, top, [at for _, at in commits], _words_at(top, options))
        for (label, commit), kept in zip(commits, listings, strict=True):
            if (listing := _listed_before(kept, options, commit)) is not None:
                found[commit] = listing
                continue
            folder = top if commit is None else stack.enter_context(worktree(top, commit))
            place = Place(folder, label, commit)
            process = _start(place, top, options, kept)
            stack.callback(_end, process)
            loads.append((place, process, kept))
        for place, process, kept in loads:
            found[place.commit] = _finish(place, process, kept)
    return [found[commit] for _, commit in commits]


def _listed_before(
    kept: KeptListing | None, options: PipelineOptions, commit: str | None
) -> Listing | None:
    """Return the targets of a commit, or of the files, as an earlier load gave them, or None."""
    if kept is not None and (listing := kept.usable()) is not None:
        return listing
    return list_without_load(options) if commit is None else None


def _words_at(top: str, options: PipelineOptions) -> list[str]:
    """Return the options that name the pipeline, as they are for each commit."""
    return [pipeline_file(options)[0].named_from(top), options.file or "", *_words(options)]


def _words(options: PipelineOptions) -> list[str]:
    """Return the options beside the one that names the file."""
    words: list[str] = []
    if options.profile is not None:
        words += ["--profile", options.profile]
    if options.code is not None:
        words += ["--code-policy", options.code]
    if options.prefix is not None:
        words += ["--prefix", options.prefix]
    for key, value in (options.parameters or {}).items():
        words += ["--set", f"{key}={value}"]
    for path in options.params or ():
        words += ["--params", os.path.abspath(path)]
    return words


def _start(
    place: Place, top: str, options: PipelineOptions, kept: KeptListing | None
) -> subprocess.Popen[str]:
    """Start `list-targets` in a checkout."""
    folder, words = _folder_in(place, top), _words(options)
    # If the current folder does not exist there, folders above it may hold another pipeline.
    if options.file is not None or folder is None:
        words += ["-f", _named_in(place, top, pipeline_file(options)[0])]
    if kept is not None and kept.is_observed:
        words += ["--observe-for", kept.project]
        words += ["--checkout", place.top] if place.commit is not None else []
    # Packages installed from this checkout (src/) are imported from the other checkout there.
    paths = [path for path in sys.path if _is_below(path, top) and not _is_not_theirs(path)]
    moved = [os.path.join(place.top, os.path.relpath(os.path.realpath(p), top)) for p in paths]
    given = os.environ.get("PYTHONPATH", "")
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "marin_build", "list-targets", *words),
            *words_of(*(("--unbuilt", id_) for id_ in options.unbuilt)),
        ],
        cwd=folder or place.top,
        env={
            **git_environment(),
            "PYTHONPATH": os.pathsep.join([*moved, *filter(None, [given])]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _is_below(path: str, top: str) -> bool:
    real = os.path.realpath(path)
    return bool(path) and (real == top or real.startswith(top + os.sep))


def _is_not_theirs(path: str) -> bool:
    """Return whether a folder of modules is marin-build's, or lies in this Python's environment."""
    return path == os.path.dirname(FOLDER) or _is_below(path, os.path.realpath(sys.prefix))


def _named_in(place: Place, top: str, module: PipelineModule) -> str:
    """Return how `-f` names a pipeline of the checkout in another place.

    It is named by its path there: its module name could find this checkout's module, if that is
    installed. Only the name is known of a module that this checkout does not have.
    """
    if not module.file:
        return module.named_from(top)
    real = os.path.realpath(os.path.dirname(module.file))
    if installed_in(module.file) is not None or not _is_below(real, top):
        raise UsageError(
            f"the pipeline `{module.named_from(os.getcwd())}` is not in the git checkout `{top}`",
            consequence="nothing was compared",
        )
    file = os.path.join(place.top, os.path.relpath(real, top), os.path.basename(module.file))
    return replace(module, file=os.path.normpath(file)).named_by_path


def _folder_in(place: Place, top: str) -> str | None:
    """Return the folder that is the current one in another place; None if it is not there."""
    here = os.path.realpath(os.getcwd())
    if not _is_below(here, top):
        return place.top
    folder = os.path.join(place.top, os.path.relpath(here, top))
    return folder if os.path.isdir(folder) else None


def _finish(place: Place, process: subprocess.Popen[str], kept: KeptListing | None) -> Listing:
    """Return what a process lists, and keep it.

    Raises:
        UsageError: it could not load its pipeline.

    """
    out, err = process.communicate()
    if process.returncode == 0:
        listing = read_listing(out)
        if kept is not None and (looked_at := read_looked_at(out)) is not None:
            kept.learn(listing, looked_at)
        return replace(listing, use=kept.use if kept is not None else "")
    said = err.strip().replace(place.top + os.sep, "").replace(place.top, ".")
    raise UsageError(
        f"the pipeline of {place.label} cannot be loaded",
        facts=[("reason", said.removeprefix("error: ") or f"exit code {process.returncode}")],
        consequence="nothing was compared",
    )


def _end(process: subprocess.Popen[str]) -> None:
    """End a process that is still running, and reap it."""
    if process.poll() is None:
        process.kill()
    process.communicate()
