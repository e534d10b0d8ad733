"""Loads a pipeline for commands that may need none of its functions: perhaps from what was kept.

Where something asks for the function of a step, the pipeline is loaded all the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.analysis.use_of_loads import NOT_LOADED, SWITCHED_OFF
from marin_build.operations.loading.loading import Loaded, load, request_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.operations.loading.list_targets import Listing
    from marin_build.operations.loading.options import PipelineOptions


def list_without_load(options: PipelineOptions) -> Listing | None:
    """Return what `list_here` returns, if earlier loads tell it; else None."""
    from marin_build.operations.loading.list_targets import is_here, listing_of

    request = request_of(options)
    if options.unbuilt or options.no_analysis or not request.settings.analysis_cache:
        return None
    if not is_here(options, request.module, request.workspace.project):
        return None
    from marin_build.operations.loading.analysis import Analysis

    found = Analysis.of(request, options).usable_declaration()
    return None if found is None else replace(listing_of(found), use=NOT_LOADED)


def load_to_read(
    options: PipelineOptions, only: str | None = None, needed: Sequence[str] = ()
) -> Loaded:
    """Return what `load` returns, perhaps without loading the pipeline.

    Its steps have their functions in any case: to ask for one may load the pipeline. A command that
    runs steps asks for `with_functions()` first.
    """
    if options.program is not None or options.unbuilt:
        return load(options, only, needed)
    request = request_of(options)
    if options.no_analysis or not request.settings.analysis_cache:
        return replace(load(options, only, needed), use=SWITCHED_OFF)
    from marin_build.operations.loading.analysis import Analysis

    analysis = Analysis.of(request, options)
    if (found := analysis.usable()) is not None:
        return found
    if only is not None or analysis.is_refused():  # only a part of it is loaded; or in vain
        return replace(load(options, only, needed), use=analysis.use)
    from marin_build.operations.loading.keep_load import load_and_keep

    return load_and_keep(analysis, needed)
