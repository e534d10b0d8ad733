"""Lists a pipeline's targets for another process of ours, with what the load looked at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from marin_build.analysis.analysis_files import AnalysisFiles
from marin_build.analysis.checkout import Checkout
from marin_build.analysis.observations import NotKept, Observations
from marin_build.analysis.observed_load import observed_load
from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.keep_load import reason_against
from marin_build.operations.loading.list_targets import declare_here, listing_line, listing_of
from marin_build.untrusted_json import parse_json, table, text

if TYPE_CHECKING:
    from marin_build.operations.loading.options import PipelineOptions

_MARK = "marin-build looked at: "
"""How the line begins, which follows that of the listing."""


def observed_listing_lines(options: PipelineOptions, project: str, checkout: str | None) -> str:
    """Return what `listing_line` returns, and a line with what the load looked at.

    Args:
        options: name the pipeline.
        project: the absolute folder of the project that keeps it: digests are under its key.
        checkout: the absolute folder of the checkout of a commit that the pipeline is in; None: its
            files are as they are.

    """
    salt = AnalysisFiles(project).salt()
    watched = pipeline_file(options)[1]
    with observed_load(
        watched, {}, salt=salt, checkout=None if checkout is None else Checkout(checkout)
    ) as watch:
        declared = declare_here(options)
    line = listing_line(listing_of(declared))
    if declared is None:
        return line  # it is known without a load
    found: Observations | str | NotKept | None = reason_against(declared)
    if found is None:
        found = watch.result(declared.pipeline)
    document: dict[str, object]
    match found:
        case NotKept():
            document = {"reason": found.reason, "where": found.where}
        case Observations():
            document = {"observed": found.json_values()}
        case _:
            document = {"why": found}
    return f"{line}{_MARK}{json.dumps(document)}\n"


def read_looked_at(printed: str) -> Observations | NotKept | str | None:
    """Read what a load looked at, or why what it gave is not kept; None if nothing is said of it.

    Raises:
        ValueError: it is not what `observed_listing_lines` returned.

    """
    for line in printed.split("\n"):
        if line.startswith(_MARK):
            document = table(parse_json(line.removeprefix(_MARK).encode()))
            if "reason" in document:
                return NotKept(text(document["reason"]), text(document.get("where")))
            if "why" in document:
                return text(document["why"])
            return Observations.of_json(document.get("observed"))
    return None
