"""Loads a pipeline for commands that may need none of its functions: perhaps from what was kept.

What a load gives is kept, with all that it looked at. It is used once two loads that found the same
gave the same, and as long as they would find that still. Where something asks for the function of a
step, the pipeline is loaded all the same (docs/adr/0041).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from marin_build.analysis.analysis_files import AnalysisFiles
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import observed_load
from marin_build.analysis.printed import noting_prints
from marin_build.errors import MarinBuildError, StoppedError
from marin_build.operations.loading.load_targets import store_of_targets
from marin_build.operations.loading.loading import (
    KeptLoad,
    Loaded,
    LoadRequest,
    current_host,
    load,
    request_of,
)
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, text, texts, whole
from marin_build.workspace.places import is_url
from marin_build.workspace.workspace import use_workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.analysis.columns import Columns
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.targets import Targets

SEEN, TRUSTED, UNSTEADY, REFUSED = "seen once", "used", "unsteady", "refused"
"""What is known of an analysis: one load gave it; a second one gave the same; it gave something
else; it cannot be kept."""

_ENOUGH = 2
"""Refusals in a row after which nothing is prepared that another one would make useless."""


def load_to_read(
    options: PipelineOptions, only: str | None = None, needed: Sequence[str] = ()
) -> Loaded:
    """Return what `load` returns, perhaps without loading the pipeline.

    Its steps have their functions in any case: to ask for one may load the pipeline. A command that
    runs steps asks for `with_functions()` first.
    """
    if options.program is not None or options.unbuilt or options.no_analysis:
        return load(options, only, needed)
    request = request_of(options)
    if not request.settings.analysis_cache:
        return load(options, only, needed)
    analysis = Analysis.of(request, options)
    if (found := analysis.usable()) is not None:
        return found
    if only is not None:  # only a part of it is loaded
        return load(options, only, needed)
    return analysis.load_and_keep(needed)


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
        loaded: the pipeline, once it was loaded in spite of that.

    """

    request: LoadRequest
    options: PipelineOptions
    given: Mapping[str, str]
    files: AnalysisFiles
    salt: bytes | None
    key: str
    kept: Targets | None = None
    loaded: Loaded | None = None

    @classmethod
    def of(cls, request: LoadRequest, options: PipelineOptions) -> Analysis:
        """Return the analysis of what is to be loaded; nothing is read but the salt."""
        files, given = AnalysisFiles(request.workspace.project), _given(request)
        salt = files.salt()
        return cls(request, options, given, files, salt, files.key_of(salt or b"", given))

    def usable(self) -> Loaded | None:
        """Return what earlier loads gave, if another one would give the same; else None."""
        if self.salt is None:
            return None
        try:
            index = self.files.index(self.key)
            if index.get("state") != TRUSTED:
                return None
            observations = Observations.of_json(index["observed"])
            if observations.first_change(self.given) is not None:
                return None
            from marin_build.analysis.columns import decode

            columns = decode(self.files.open_columns(text(index["columns"])))
            return self._restored(columns)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _restored(self, columns: Columns) -> Loaded | None:
        from marin_build.analysis.kept_steps import kept_targets
        from marin_build.analysis.named_files import kinds_of
        from marin_build.pipeline.load import Pipeline

        workspace, kept = self.request.workspace, columns.pipeline
        named = array(kept["texts"])
        if kinds_of(map(text, named), workspace.project) != texts(kept["named"]):
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
        return Loaded(
            self.request.settings,
            workspace,
            pipeline,
            targets,
            store_of_targets(targets),
            current_host(),
            kept=KeptLoad(tuple(map(text, array(kept["warnings"]))), self.load_again),
        )

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

    def load_and_keep(self, needed: Sequence[str] = ()) -> Loaded:
        """Load the pipeline, and keep what it gave, if it can be kept.

        Args:
            needed: as for `load`.

        """
        try:
            if self.salt is None:
                self.salt = self.files.make_salt()
                self.key = self.files.key_of(self.salt, self.given)
        except OSError:
            return load(self.options, needed=needed)
        before = self._before()
        is_hopeless = before.get("state") == UNSTEADY or before.get("refusals", 0) >= _ENOUGH
        columns: bytes | str = ""
        project = self.request.workspace.project
        with noting_prints() as printed, observed_load(project, self.given, salt=self.salt) as watch:
            loaded = load(self.options, needed=needed)
            if not is_hopeless:
                columns, loaded = _columns_of(loaded)
        found = watch.result(loaded.pipeline)
        if printed.is_so and not isinstance(found, NotKept):
            found = NotKept("prints something while it is loaded", loaded.file)
        with suppress(OSError):  # else it is loaded each time
            self._keep(before, found, columns, loaded.file)
        return loaded

    def _refused(self, before: Mapping[str, Any], why: str) -> dict[str, Any]:
        """Return what is known of a load that cannot be kept."""
        refusals = min(before.get("refusals", 0) + 1, _ENOUGH)
        return {"state": REFUSED, "why": why, "refusals": refusals}

    def _before(self) -> Mapping[str, Any]:
        try:
            index = self.files.index(self.key)
            return {**index, "refusals": whole(index.get("refusals"))}
        except (OSError, ValueError):
            return {}

    def _keep(
        self,
        before: Mapping[str, Any],
        found: Observations | NotKept,
        columns: bytes | str,
        name: str,
    ) -> None:
        """Write down what a load gave: in full the first time, later what has changed of that.

        Args:
            before: what was known.
            found: what the load looked at.
            columns: what it gave; a text: why that cannot be kept, empty if nobody asked.
            name: the pipeline, as people know it.

        """
        known: dict[str, Any] = {"pipeline": name}
        if isinstance(found, NotKept):
            known |= self._refused(before, f"{found.where} {found.reason}")
        elif isinstance(columns, str) and columns:
            known |= self._refused(before, columns)
        else:
            observed = found.json_values()
            known |= {"state": SEEN, "observed": observed}
            if isinstance(columns, bytes):
                known["columns"] = self.files.write_columns(columns)
            if before.get("state") == UNSTEADY and _observed_by(before) == found:
                known["state"] = UNSTEADY
            elif "columns" in before and _observed_by(before) == found:
                is_same = before["columns"] == known["columns"]
                known["state"] = TRUSTED if is_same else UNSTEADY
        if known != {name: before.get(name) for name in known}:
            self.files.write_index(self.key, known)
            self.files.clean()


def _observed_by(index: Mapping[str, Any]) -> Observations | None:
    try:
        return Observations.of_json(index["observed"])
    except (ValueError, KeyError, TypeError):
        return None


def _columns_of(loaded: Loaded) -> tuple[bytes | str, Loaded]:
    """Return what a load gave as it is kept, and the same load, which knows more of its code.

    A text in place of the former says why it cannot be kept.
    """
    from marin_build.analysis.columns import encode
    from marin_build.analysis.named_files import kinds_of, texts_of
    from marin_build.analysis.step_document import NotKeptError
    from marin_build.pipeline.graph import steps_below
    from marin_build.plan.deep_digests import all_digests

    pipeline, targets, workspace = loaded.pipeline, loaded.targets, loaded.workspace
    steps = [target.step for target in targets.all]
    try:
        if pipeline.expansions:
            raise NotKeptError("its expansions wait for what is built")
        if workspace.former or workspace.adopted:
            raise NotKeptError("steps keep an identity or a place of their own")
        for step in steps_below(pipeline.roots):  # they may have been left out of the targets
            if any(is_url(source.location) for source in step.inputs.values()):
                raise NotKeptError(f"`{step.name}` reads a source at a URL")
        named = texts_of(steps)
        facts = {
            "roots": [targets.by_id[step.target_id] for step in pipeline.declared],
            "threads": pipeline.threads,
            "notes": pipeline.notes,
            "warnings": loaded.warning_texts(),
            "texts": named,
            "named": kinds_of(named, workspace.project),
        }
        codes, deep_codes = all_digests(targets)
        columns = encode(targets, codes, deep_codes, facts)
        return columns, replace(loaded, targets=replace(targets, deep_codes=deep_codes))
    except (NotKeptError, MarinBuildError, OSError) as error:  # or its code cannot be read
        return str(error), loaded


def _are_equal(kept: Targets, loaded: Targets) -> bool:
    """Return whether a load gave the very targets that were kept."""
    if len(kept) != len(loaded) or (kept.deps, kept.requested) != (loaded.deps, loaded.requested):
        return False
    return all(
        (one.id, one.fingerprint, one.output_path) == (two.id, two.fingerprint, two.output_path)
        for one, two in zip(kept.all, loaded.all, strict=True)
    )


def _given(request: LoadRequest) -> dict[str, str]:
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
