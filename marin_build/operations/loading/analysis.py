"""The analysis of a pipeline: what its loads gave, with all that they looked at.

It is used once two loads that found the same gave the same, and as long as they would find that
still (docs/adr/0041).
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.analysis.analysis_files import (
    AnalysisFiles,
    stamp_in_json,
)
from marin_build.analysis.learned import is_hopeless, known_before
from marin_build.analysis.use_of_loads import NOT_LOADED, use_in_words, why_loaded
from marin_build.errors import StoppedError
from marin_build.operations.loading.loading import (
    Declared,
    KeptLoad,
    Loaded,
    LoadRequest,
    load,
    opened,
)
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, table, text, texts
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.analysis.columns import Columns
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.targets import Targets


@dataclass(slots=True, eq=False)
class Analysis:
    """The analysis of one form of a pipeline: by file, parameters, prefix and policy.

    Args:
        request: which form.
        options: name it.
        given: the same, by names that stand in a sentence.
        files: where analyses lie.
        salt: the project's; None if it has none yet.
        key: how the files call it; another module path, which a load may make, is another one.
        kept: the targets of earlier loads, once they are used.
        warnings: of these loads, for the pipeline's author.
        use: whether they are used, and if not why, in words; see use_of_loads.py.
        loaded: the pipeline, once it was loaded in spite of that.

    """

    request: LoadRequest
    options: PipelineOptions
    given: Mapping[str, str]
    files: AnalysisFiles
    salt: bytes | None
    key: str
    kept: Targets | None = None
    warnings: tuple[str, ...] = ()
    use: str = ""
    loaded: Loaded | None = None

    @classmethod
    def of(cls, request: LoadRequest, options: PipelineOptions) -> Analysis:
        """Return the analysis of what is to be loaded; nothing is read but the salt."""
        files, given = AnalysisFiles(request.workspace.project), given_to_a_load(request)
        salt = files.salt()
        return cls(request, options, given, files, salt, files.key_of(salt or b"", given))

    def make_salt(self) -> None:
        """Give the project a salt, if it has none.

        Raises:
            OSError: the project cannot be written to.

        """
        if self.salt is None:
            self.salt = self.files.make_salt()
            self.key = self.files.key_of(self.salt, self.given)

    def usable(self) -> Loaded | None:
        """Return what earlier loads gave, if another one would give the same; else None."""
        declared = self.usable_declaration()
        if declared is None:
            return None
        kept = KeptLoad(self.warnings, self.load_again)
        return replace(opened(declared), kept=kept, use=self.use)

    def usable_declaration(self) -> Declared | None:
        """Return the same without the store of its outputs."""
        self.use = use_in_words({})
        if self.salt is None:
            return None
        try:
            index = known_before(self.files, self.key)
            if (why := why_loaded(index, self.given)) is not None:
                self.use = why
                return None
            from marin_build.analysis.columns import decode

            columns = decode(self.files.open_columns(text(index["columns"])))
            return self._restored(columns)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def is_refused(self) -> bool:
        """Return whether loads of the same code could not be kept: to observe one takes time."""
        try:
            index = known_before(self.files, self.key)
            stamps = table(index.get("code"))
        except ValueError:
            return False
        return is_hopeless(index) and all(stamps[file] == stamp_in_json(file) for file in stamps)

    def _restored(self, columns: Columns) -> Declared | None:
        from marin_build.analysis.kept_steps import kept_targets
        from marin_build.analysis.named_files import kinds_of
        from marin_build.pipeline.load import Pipeline

        workspace, kept = self.request.workspace, columns.pipeline
        named = array(kept["texts"])
        if kinds_of(map(text, named), workspace.project) != texts(kept["named"]):
            self.use = "is loaded: a file of the project that a step names came or is gone"
            return None  # a warning may come or go
        use_workspace(workspace)
        self.kept = targets = kept_targets(columns, workspace, lambda: self.load_again().targets)
        pipeline = Pipeline(
            self.request.module,
            tuple(targets.all[index].step for index in columns.roots),
            dict(self.request.parameters),
            threads=tuple(map(text, array(kept["threads"]))),
            notes=tuple(map(text, array(kept["notes"]))),
        )
        self.use = NOT_LOADED
        self.warnings = tuple(map(text, array(kept["warnings"])))
        return Declared(self.request.settings, workspace, pipeline, targets)

    def load_again(self) -> Loaded:
        """Load the pipeline whose analysis is used, once.

        Raises:
            StoppedError: it declares something else; the analysis is forgotten.

        """
        if self.loaded is None:
            loaded = load(self.options)
            if self.kept is None or not _are_equal(self.kept, loaded.targets):
                self.files.drop(self.key)
                raise StoppedError(
                    "the pipeline declares something else than it did when it was loaded last, "
                    "although nothing that it looked at has changed",
                    facts=[("pipeline", loaded.file)],
                    consequence="nothing was run, and what was kept of it is dropped",
                    hint="run the command again; if this comes back, add --no-analysis-cache",
                )
            self.loaded = loaded
        return self.loaded


def _are_equal(kept: Targets, loaded: Targets) -> bool:
    """Return whether a load gave the very targets that were kept."""
    if len(kept) != len(loaded) or (kept.deps, kept.requested) != (loaded.deps, loaded.requested):
        return False
    return all(
        (one.id, one.fingerprint, one.output_path) == (two.id, two.fingerprint, two.output_path)
        for one, two in zip(kept.all, loaded.all, strict=True)
    )


def given_to_a_load(request: LoadRequest) -> dict[str, str]:
    """Return all that a load is given, each with words for it."""
    module, workspace = request.module, request.workspace
    return {
        "the pipeline's name": f"{module.name}:{module.wanted or ''}",
        "the pipeline's file": module.file,
        "the pipeline's package": f"{module.package} {module.root} {module.is_named}",
        "the current folder": os.getcwd(),
        "the prefix": workspace.prefix,
        "the code policy": workspace.code or "",
        "the Marin of its names": workspace.marin_era or "",
        **{f"parameter {name}": value for name, value in request.parameters.items()},
    }
