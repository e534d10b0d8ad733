"""Checks that identity does not depend on the place: loads the pipeline as if it were elsewhere.

A process of its own loads it a second time, under another prefix. Every ResourceConfig there names
another accelerator, other cores and other regions than the pipeline asks for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import SpecificationError
from marin_build.operations.loading.list_targets import entries_of
from marin_build.operations.loading.move_resources import REGION
from marin_build.operations.loading.other_process import loading_elsewhere
from marin_build.plan.targets_diff import Kind, diff_targets
from marin_build.workspace.workspace import PREFIX_VARIABLE

if TYPE_CHECKING:
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.targets_diff import TargetDifference


PREFIX = "gs://elsewhere-europe-west9/some/prefix"
_IDENTITY = (Kind.APPEARED, Kind.VANISHED, Kind.CHANGED, Kind.CASCADE)
_SHOWN = 10


def check_placement(loaded: Loaded, options: PipelineOptions) -> None:
    """Load the pipeline as if it were elsewhere, and compare identities.

    Raises:
        SpecificationError: an identity differs there, or the pipeline cannot be loaded there.

    """
    moved_there = replace(options, file=loaded.pipeline.module.named_by_path, prefix=PREFIX)
    words = ["--elsewhere"]
    if loaded.targets.later:  # nothing is built there: all expansions wait, here too
        from marin_build.operations.planning.planned_expansions import expanded_anew

        loaded = expanded_anew(loaded, unbuilt=frozenset({"*"}))
        words += ["--unbuilt", "*"]
    with loading_elsewhere(moved_there, words, {PREFIX_VARIABLE: PREFIX}) as other:
        there = other.listing("elsewhere")
    diff = diff_targets(entries_of(loaded.targets), there.entries)
    moved = [each for each in diff.differences if each.kind in _IDENTITY]
    if not moved:
        return
    own = [each for each in moved if each.kind is not Kind.CASCADE]
    lines = [f"{_name(each)}: {', '.join(each.reasons()) or each.kind.value}" for each in own]
    if len(lines) > _SHOWN:
        lines[_SHOWN:] = [f"and {len(lines) - _SHOWN} more"]
    count = f"{len(moved)} target{'s' if len(moved) != 1 else ''}"
    raise SpecificationError(
        f"{count} would be built again elsewhere: identity depends on the place",
        facts=[
            ("here -> there", "\n".join(lines)),
            ("there", f"prefix {PREFIX}, {REGION}, other machines"),
        ],
        consequence="nothing was run",
        hint="keep prefix, region and accelerator out of attributes, names and commands",
    )


def _name(each: TargetDifference) -> str:
    return (each.old or each.entry).id
