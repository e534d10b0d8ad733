"""Load a pipeline and note all that the load looks at, or why that cannot be known."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.analysis import asked_variables, audit_hook, questions, unsteady_names
from marin_build.analysis.callers import owner_of
from marin_build.analysis.files_read import files_read, variables_of
from marin_build.analysis.observations import (
    CHANGED_BEFORE,
    NotKept,
    Observations,
)
from marin_build.analysis.replaced_functions import Replacements
from marin_build.analysis.searched_folders import (
    PACKAGE,
    SearchedFolder,
    folder_stamp,
    searched,
)
from marin_build.analysis.searching import SearchedModules, folders_with_names
from marin_build.analysis.unsteady_code import unsteady_place
from marin_build.analysis.watch import Watch
from marin_build.text.readable import printable
from marin_build.workspace.file_stamps import DISTRUST_NS
from marin_build.workspace.workspace import relative_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

    from marin_build.analysis.checkout import Checkout
    from marin_build.analysis.questions import Answer
    from marin_build.pipeline.load import Pipeline

_KEY_BYTES = 32


class ObservedLoad:
    """A load that is, or was, observed.

    Args:
        watch: notes what it looks at.
        given: what it was given.
        salt: the key of digests.

    """

    def __init__(self, watch: Watch, given: Mapping[str, str], salt: bytes) -> None:
        self._watch, self._given, self._salt = watch, dict(given), salt
        self._modules_before = self._modules_after = dict(sys.modules)
        self._surroundings = questions.surroundings()
        self._search_path = list(sys.path)
        self._all_variables = questions.answer_now(questions.VARIABLES, "", salt)
        self._always = {name: os.environ.get(name) for name in asked_variables.ALWAYS_ASKED}
        self._is_over = False
        if getattr(sys.modules.get("platform"), "_uname_cache", None) is not None:
            watch.called.add("uname")  # it does not ask again

    def new_modules(self) -> list[tuple[str, ModuleType]]:
        """Return the modules that were imported since, by their names."""
        before = self._modules_before
        return [
            (name, module)
            for name, module in self._modules_after.items()
            if before.get(name) is not module
        ]

    def end(self) -> None:
        """Observe nothing any more."""
        self._modules_after = dict(sys.modules)
        self._is_over = True

    def result(self, pipeline: Pipeline) -> Observations | NotKept:
        """Return what the load looked at, after the block has ended without an error.

        Args:
            pipeline: what was loaded.

        """
        assert self._is_over
        watch = self._watch
        if watch.refused is None:
            self._refuse_what_was_there(pipeline)
        if watch.refused is None and (found := unsteady_place(watch.codes, pipeline)) is not None:
            reason, file, line = found
            watch.refused = reason, f"{relative_to(file, watch.project)}:{line}"
        if watch.refused is not None:
            return NotKept(*watch.refused)
        if watch.checkout is not None:
            self._leave_out_what_follows_from(watch.checkout)
        files, libraries = files_read(watch, self._modules_after)
        answers = self._answers(files)
        folders = self._searched()
        if watch.refused is not None:
            return NotKept(*watch.refused)
        return Observations(watch.project, self._salt, answers, libraries, folders)

    def _leave_out_what_follows_from(self, checkout: Checkout) -> None:
        """Leave out what lies in a checkout of a commit, and what is outside, ask where it lies."""
        watch = self._watch
        moved = [(checkout.outside(path), stamp) for path, stamp in watch.files.items()]
        watch.files = {path: stamp for path, stamp in moved if path is not None}
        watch.imported = list(checkout.all_outside(watch.imported))
        watch.distributions = set(checkout.all_outside(watch.distributions))
        self._search_path = list(checkout.all_outside(self._search_path))
        watch.answers = {
            kind: checkout.answers_outside(kind, asked) for kind, asked in watch.answers.items()
        }
        folders = ((checkout.outside(path), kinds) for path, kinds in watch.folders.items())
        watch.folders = {path: kinds for path, kinds in folders if path is not None}
        if checkout.has(watch.folder):
            watch.called.discard("getcwd")  # the place of the checkout is another one each time

    def _refuse_what_was_there(self, pipeline: Pipeline) -> None:
        """Refuse a load that used modules of the project which were imported before it."""
        if pipeline.program is not None:
            self._watch.refuse("is declared by a running program", None, pipeline.file)
            return
        if owner_of(pipeline.file) != "author":
            reason = "is installed, so that its code cannot be told from that of libraries"
            self._watch.refuse(reason, None, pipeline.file)
            return
        connecting = unsteady_names.NATIVE_CONNECTIONS.intersection(self._modules_after)
        if new := connecting.difference(self._modules_before):
            self._watch.refuse(f"imports `{min(new)}`, which may use the network", None)
            return
        folders = tuple({self._watch.project + os.sep, os.path.dirname(pipeline.file) + os.sep})
        for name, module in self._modules_before.items():
            file = variables_of(module).get("__file__")
            if not isinstance(file, str) or name == "__main__" or not file.startswith(folders):
                continue
            if self._modules_after.get(name) is module and owner_of(file) == "author":
                self._watch.refuse("uses a module that was imported before it", None, file)
                return

    def _answers(self, files: dict[str, Answer]) -> dict[str, dict[str, Answer]]:
        watch, salt = self._watch, self._salt
        variables = {**self._always, **watch.variables}
        found: dict[str, dict[str, Answer]] = {
            questions.SURROUNDINGS: dict(self._surroundings),
            questions.GIVEN: {
                name: questions.digest(salt, name, value) for name, value in self._given.items()
            },
            questions.VARIABLE: {
                name: questions.variable_digest(salt, name, value)
                for name, value in variables.items()
            },
            questions.DISTRIBUTIONS: {
                folder: questions.answer_now(questions.DISTRIBUTIONS, folder, salt)
                for folder in {*self._search_path, *watch.distributions}
                if os.path.isabs(folder)
            },
            questions.CALLED: {name: questions.answer_of(name, salt) for name in watch.called},
            questions.FILE: files,
            **watch.answers,
        }
        if "getcwd" in watch.called:
            found[questions.CALLED]["getcwd"] = questions.digest(salt, repr(watch.folder))
        if watch.reads_all_variables:
            found[questions.VARIABLES] = {"": self._all_variables}
        for folder, with_kinds in watch.folders.items():
            kind = questions.ENTRIES if with_kinds else questions.NAMES
            found.setdefault(kind, {})[folder] = questions.answer_now(kind, folder, salt)
            if self._changed_meanwhile(folder):
                watch.refuse(CHANGED_BEFORE, None, folder)
        return {kind: dict(sorted(asked.items())) for kind, asked in sorted(found.items()) if asked}

    def _changed_meanwhile(self, folder: str) -> bool:
        try:
            found = os.stat(folder)
        except OSError:
            return False
        return self._watch.began - max(found.st_mtime_ns, found.st_ctime_ns) <= DISTRUST_NS

    def _searched(self) -> dict[str, SearchedFolder]:
        trusted_before = self._watch.began - DISTRUST_NS
        found: dict[str, SearchedFolder] = {}
        searches = folders_with_names(self._watch.searches, self._watch.folder)
        if self._watch.checkout is not None:
            searches = self._watch.checkout.folders_outside(searches)
        for folder, names in searches.items():
            is_package = folder not in sys.path and owner_of(f"{folder}/x.py") == "library"
            stamp = folder_stamp(folder) if is_package else None
            if stamp is not None and max(stamp[:2]) < trusted_before:
                found[folder] = SearchedFolder((), (), stamp)  # of its own package alone
            else:
                found[folder] = searched(folder, names, trusted_before)
        for folder, each in list(found.items()):
            for entry in each.found:  # a folder that was no package may become one
                inner = os.path.join(folder, entry)
                known = found[inner].names if inner in found else ()
                is_listed = inner not in found or (known and PACKAGE not in known)
                if "." not in entry and is_listed and os.path.isdir(inner):
                    found[inner] = searched(inner, {PACKAGE, *known}, trusted_before)
        return found


@contextmanager
def observed_load(
    project: str,
    given: Mapping[str, str],
    *,
    salt: bytes | None = None,
    checkout: Checkout | None = None,
    clock: Callable[[], int] = time.time_ns,
) -> Iterator[ObservedLoad]:
    """Note what the block looks at, which loads a pipeline in this thread.

    Args:
        project: its absolute folder.
        given: what decides what is loaded, and with which parameters, by a name in words; of the
            values only digests are kept.
        salt: the key of digests: of earlier observations, to compare with them; None: a new one.
        checkout: of the commit that is loaded; what lies in it is not asked again. None: the files
            are as they are.
        clock: returns the time in ns since the epoch: what was written just before is not trusted.

    """
    salt = salt or os.urandom(_KEY_BYTES)
    watch = Watch(project, clock(), checkout=checkout)
    load = ObservedLoad(watch, given, salt)
    if audit_hook.is_observing():
        watch.refuse("is loaded while another load is observed", None)
        yield load
        load.end()
        return
    replacements, finder = Replacements(), SearchedModules()
    if not asked_variables.start():
        watch.refuse("runs in a program that has replaced `os.environ`", None)
    replacements.put_in()
    finder.put_in()
    audit_hook.start(watch)
    try:
        yield load
    finally:
        audit_hook.stop()
        finder.take_out()
        replacements.take_out()
        asked_variables.stop()
        load.end()
        replacements.forget_in(module for _, module in load.new_modules())


def described(found: NotKept) -> str:
    """Return a sentence on why a load is not kept, for people."""
    return f"not cached: {printable(found.where)} {printable(found.reason)}"
