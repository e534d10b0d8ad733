"""The prefix that options name and its store, opened without loading the pipeline."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError, StoreError, UsageError
from marin_build.operations.loading.find_pipeline import pipeline_file, prefix_of
from marin_build.plan.selection import asks_for_drift
from marin_build.quick_dataclass import dataclass
from marin_build.store.open_store import open_store
from marin_build.workspace.places import is_relative, is_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.errors import MarinBuildError
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.document import PlanDocument
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where outputs live.

    Args:
        project: the absolute folder of the project.
        prefix: an absolute folder, or a URL.
        store: holds it.
        lacks_pipeline: whether the user named no pipeline, and none is where it is looked for.

    """

    project: str
    prefix: str
    store: Store
    lacks_pipeline: bool = False

    def is_pipelines(self, error: MarinBuildError) -> bool:
        """Return whether an error is the pipeline's: then what lies here may answer in its place.

        A wrong option is the user's.
        """
        return self.lacks_pipeline or isinstance(error, SpecificationError | StoreError)

    def output_of(self, plan: PlanDocument, path: str) -> str:
        """Return an output path of a plan as it is here: under this prefix, if it was under its."""
        inside = path.removeprefix(f"{plan.prefix}/")
        if inside != path:
            return f"{self.prefix}/{inside}"
        return path if is_url(path) else os.path.join(self.project, path)

    def output_at(self, output: str) -> str:
        """Return the output path that an entry of another place names: see `Entry.output`."""
        if output.startswith("./"):
            return os.path.join(self.project, output[2:])
        return f"{self.prefix}/{output}" if is_relative(output) else output


def refuse_drifted(words: Sequence[str], error: MarinBuildError) -> None:
    """Refuse selectors that compare code, where the pipeline that has it does not load.

    Args:
        words: the selectors.
        error: why the pipeline does not load.

    Raises:
        UsageError: one of them does.

    """
    if asks_for_drift(words):
        raise UsageError(
            "`drifted` compares the code of the pipeline, and the pipeline does not load",
            facts=[("reason", str(error).partition("\n")[0])],
            consequence="nothing was done",
            hint="name the targets",
        ) from error


def open_place(options: PipelineOptions) -> Place:
    """Open the place that options name; nothing is asked of its store yet.

    Raises:
        UsageError: the configuration cannot be read, or the prefix is nearly a URL.
        StoreError: the prefix has an unknown scheme, or an extra is missing.

    """
    module, project, settings = pipeline_file(options)
    prefix = prefix_of(options, settings, project)
    is_lacking = options.file is None and options.program is None and not module.is_there
    return Place(project, prefix, open_store(prefix), is_lacking)
