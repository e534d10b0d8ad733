"""A pipeline's targets, as one process of marin-build hands them to another.

Two versions of one module cannot be imported in one process, so each side of a comparison is
loaded in a process of its own, by the hidden command `list-targets`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from marin_build.operations.loading.find_pipeline import pipeline_file
from marin_build.operations.loading.loading import declare
from marin_build.plan.later_selection import what_waits
from marin_build.plan.match_entries import Entry
from marin_build.workspace.places import is_relative
from marin_build.workspace.workspace import relative

if TYPE_CHECKING:
    from marin_build.operations.loading.loading import Declared
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.locate import PipelineModule
    from marin_build.pipeline.targets import Targets


_SCHEMA_VERSION = 1
_MARK = "marin-build targets: "
"""How the line begins; what else is printed beside it is no part of it."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The targets of a pipeline.

    Args:
        pipeline: its file; None: there is no such file.
        entries: the targets.
        waiting: which expansions have no steps yet, and what they wait for, in words.
        use: whether an earlier load told them, and if not why, in words after the pipeline's name;
            empty: that is not known.

    """

    pipeline: str | None
    entries: tuple[Entry, ...]
    waiting: str = ""
    use: str = ""


def list_here(
    options: PipelineOptions, *, elsewhere: bool = False, with_inputs: bool = True
) -> Listing:
    """Load the pipeline that the options name; one that is not there has no targets.

    Args:
        options: name it.
        elsewhere: for the rest of this process, let every step ask for other machines, in another
            region.
        with_inputs: read what its sources hold.

    """
    if elsewhere:
        from marin_build.operations.loading.move_resources import move_resources

        move_resources()
    return listing_of(declare_here(options, with_inputs=with_inputs))


def declare_here(options: PipelineOptions, *, with_inputs: bool = True) -> Declared | None:
    """Load the pipeline that the options name; return None if it is not there."""
    module, project, _ = pipeline_file(options)
    if not is_here(options, module, project):
        return None
    return declare(options, with_inputs=with_inputs)


def listing_of(declared: Declared | None) -> Listing:
    """Return the targets of a pipeline; one that is not there has none."""
    if declared is None:
        return Listing(None, ())
    targets = declared.targets
    return Listing(declared.file, entries_of(targets), what_waits(targets))


def is_here(options: PipelineOptions, module: PipelineModule, project: str) -> bool:
    """Return whether the pipeline is there; an installed one of today is none of a project."""
    if not module.is_there:
        return False
    is_named = options.file is not None
    return is_named or not os.path.relpath(module.file, project).startswith(os.pardir)


def entries_of(targets: Targets) -> tuple[Entry, ...]:
    """Return targets as entries, with the code of those that have some."""
    return tuple(
        Entry(
            id=target.id,
            name=target.name,
            fingerprint=target.fingerprint,
            version=target.step.version,
            deps=tuple(targets.all[dep].id for dep in deps),
            declared=f"{relative(target.step.declared[0], targets.workspace)}"
            f":{target.step.declared[1]}",
            payload=target.step.payload,
            code=target.step.code_digest,
            output=output_inside(
                relative(target.output_path, targets.workspace),
                relative(targets.workspace.prefix, targets.workspace),
            ),
        )
        for target, deps in zip(targets.all, targets.deps, strict=True)
    )


def output_inside(path: str, prefix: str) -> str:
    """Return where an output lies as it is written for another place: see `Entry.output`.

    Args:
        path, prefix: absolute, or from the folder of the project.

    """
    inside = path.removeprefix(f"{prefix}/")
    return inside if inside != path or not is_relative(path) else f"./{path}"


def listing_line(listing: Listing) -> str:
    """Return a listing as one marked line of JSON, after a line that ends what came before."""
    document = {
        "schema_version": _SCHEMA_VERSION,
        "pipeline": listing.pipeline,
        "targets": [asdict(entry) for entry in listing.entries],
        "waiting": listing.waiting,
    }
    return f"\n{_MARK}{json.dumps(document)}\n"


def read_listing(text: str) -> Listing:
    """Read what `listing_line` made, among whatever else the process printed."""
    document = json.loads(
        next(line[len(_MARK) :] for line in text.split("\n") if line[: len(_MARK)] == _MARK)
    )
    assert document["schema_version"] == _SCHEMA_VERSION
    entries = [Entry(**{**each, "deps": tuple(each["deps"])}) for each in document["targets"]]
    return Listing(document["pipeline"], tuple(entries), document["waiting"])
