"""The targets of a git revision, or of the files as they are, as earlier loads listed them.

What lies in a revision follows from its commit. So what another process listed of it is used while
nothing else has changed that its load looked at: then there is nothing to check out, and no process
to start. As with analyses (docs/adr/0041), two loads must have listed the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from marin_build.analysis import questions
from marin_build.analysis.analysis_files import REFUSED, UNSTEADY, AnalysisFiles
from marin_build.analysis.learned import is_hopeless, known_before, learned
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.use_of_loads import NOT_LOADED, use_in_words, why_loaded
from marin_build.operations.loading.analysis import given_to_a_load
from marin_build.operations.loading.git_worktree import git_said, ignored_entries
from marin_build.operations.loading.list_targets import listing_line, read_listing
from marin_build.operations.loading.loading import request_of
from marin_build.untrusted_json import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.options import PipelineOptions

_LONGEST = 1 << 30
_KNOWN_FILTERS = ("git-lfs",)
"""Programs whose output follows from what git has."""


@dataclass(slots=True, eq=False)
class KeptListing:
    """What is kept of the targets of one side of a comparison.

    Args:
        files: where it is kept.
        project: the folder of the project.
        key: how the files call it.
        given: what decides what is listed, by names that stand in a sentence.
        before: what is known of it.
        use: whether it is used, and if not why, in words; see use_of_loads.py.

    """

    files: AnalysisFiles
    project: str
    key: str
    given: Mapping[str, str]
    before: Mapping[str, Any]
    use: str = ""

    @property
    def is_observed(self) -> bool:
        """Whether a load of it is to be observed."""
        return not is_hopeless(self.before)

    def usable(self) -> Listing | None:
        """Return the targets, if another load would list the same; else None."""
        self.use = use_in_words({})
        try:
            if (why := why_loaded(self.before, self.given)) is not None:
                self.use = why
                return None
            name = text(self.before["columns"])
            with open(self.files.open_columns(name), "rb") as stream:
                data = stream.read(_LONGEST)
            if hashlib.sha256(data).hexdigest() != name:
                return None
            return replace(read_listing(data.decode()), use=NOT_LOADED)
        except (OSError, ValueError, KeyError, TypeError, StopIteration, AssertionError):
            return None

    def learn(self, listing: Listing, looked_at: Observations | NotKept | str) -> None:
        """Keep what a load listed, if it can be kept.

        Args:
            listing: that.
            looked_at: what the load looked at; or why the listing is not kept.

        """
        if isinstance(looked_at, Observations):
            salt = looked_at.salt
            own = {
                questions.SURROUNDINGS: questions.surroundings(),
                questions.GIVEN: {
                    name: questions.digest(salt, name, value) for name, value in self.given.items()
                },
            }  # those of this process: it is the one that asks
            answers = {**looked_at.answers, **own}
            looked_at = replace(looked_at, project=self.project, answers=answers)
        data = listing_line(listing).encode()
        with suppress(OSError):  # else it is loaded each time
            known = learned(self.before, looked_at, lambda: self.files.write_columns(data))
            if known is not None:
                known["pipeline"] = listing.pipeline
                self.files.write_index(self.key, known)
                self.files.clean()
                if known["state"] in (REFUSED, UNSTEADY):
                    self.use = use_in_words(known)


def kept_listings(
    options: PipelineOptions, top: str, commits: Sequence[str | None], words: Sequence[str]
) -> list[KeptListing | None]:
    """Return what is kept of each side; None for one of which nothing may be kept.

    Args:
        options: name the pipeline in this checkout.
        top: the top of the checkout.
        commits: which ones are listed; None: the files as they are.
        words: the options that name the pipeline in the checkout of a commit, from its top.

    """
    found: list[KeptListing | None] = [None for _ in commits]
    if options.no_analysis or options.unbuilt:
        return found
    request = request_of(options)
    if not request.settings.analysis_cache:
        return found
    project = request.workspace.project
    files = AnalysisFiles(project)
    try:
        salt = files.make_salt()
    except OSError:  # nothing can be kept in this project
        return found
    here = os.path.relpath(os.path.realpath(os.getcwd()), top)
    by_git = _given_by_git(top) if any(commit is not None for commit in commits) else None
    path = os.environ.get("PYTHONPATH", "")
    for at, commit in enumerate(commits):
        if commit is None:
            given = given_to_a_load(request)
        elif by_git is not None:
            given = {"the commit": commit, "the options": json.dumps([here, *words]), **by_git}
        else:
            continue
        given |= {"listed": "in another process", "the variable PYTHONPATH": path}
        key = files.key_of(salt, given)
        found[at] = KeptListing(files, project, key, given, known_before(files, key))
    return found


def _given_by_git(top: str) -> dict[str, str] | None:
    """Return what decides how a commit is checked out; None if that is not known in full."""
    code, settings, _ = git_said(top, "config", "--list", "--null")
    if code != 0 or not _are_filters_known(settings):
        return None
    _, replaced, _ = git_said(top, "replace", "--list")
    _, folder, _ = git_said(top, "rev-parse", "--git-common-dir")
    attributes = os.path.join(top, folder.strip(), "info", "attributes")
    return {
        "git's configuration": settings,
        "what git replaces": replaced,
        "git's attributes": repr(questions.answer_now(questions.FILE, attributes, b"")),
        "what git ignores": "\0".join(ignored_entries(top)),
        "the checkout": top,
    }


def _are_filters_known(settings: str) -> bool:
    """Return whether files have what the commit has, whatever programs git has them go through."""
    filters = (setting.partition("\n") for setting in settings.split("\0"))
    return all(
        program.partition(" ")[0] in _KNOWN_FILTERS
        for name, _, program in filters
        if name.startswith("filter.") and name.endswith((".smudge", ".process"))
    )
