"""The project of a saved plan: the one whose pipeline the plan was made from."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import StoppedError, UsageError
from marin_build.pipeline.locate import files_that_may_hold, locate, project_of_module
from marin_build.workspace.workspace import PROJECT_VARIABLE, find_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from marin_build.plan.document import PlanDocument


_SHOWN = 10


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A folder that has the pipeline's file, and that file."""

    folder: str
    file: str


def pipeline_digest(file: str) -> str:
    """Return the sha-256 of a pipeline's file, as a plan has it; empty if it cannot be read."""
    try:
        with open(file, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def find_project_of_plan(
    folder: str, plan: PlanDocument, environ: Mapping[str, str], cwd: str
) -> str:
    """Return the folder of a plan's project, which has the pipeline it was made from.

    These are tried: the folder that MARIN_BUILD_PROJECT names, those above the plan, and `cwd`.
    The first one counts whose pipeline is the very file. If there is none, the pipeline may have
    been edited since: that one counts if the user stands in its project, and the plan lies there.
    Whether the plan still fits is then seen from what it declares. No other pipeline is loaded,
    because loading one runs it.

    Raises:
        StoppedError: there are pipelines of that name, but not the one of the plan.
        UsageError: none of the folders has the pipeline, nor is it an installed module.

    """
    named = environ.get(PROJECT_VARIABLE)
    candidates = list(_candidates(folder, plan, named, cwd))
    if named and candidates and candidates[0].folder == os.path.abspath(named):
        del candidates[1:]  # the user, or the script that runs this, says which one
    here, place = os.path.realpath(cwd), os.path.realpath(folder)
    for candidate in candidates:
        if plan.pipeline_digest and pipeline_digest(candidate.file) == plan.pipeline_digest:
            return candidate.folder
    for candidate in candidates:
        project = os.path.realpath(candidate.folder)
        if _is_inside(here, project) and _is_inside(place, project):
            return candidate.folder
    if candidates:
        raise StoppedError(
            f"the pipeline that the plan in `{folder}` was made from is not here",
            facts=[
                ("pipeline", plan.pipeline),
                ("another", "\n".join(candidate.file for candidate in candidates[:_SHOWN])),
            ],
            consequence="nothing was run, and none of these was loaded",
            hint="if that is the pipeline, edited since, make the plan again, or apply it in its "
            "project",
        )
    return _project_of_installed(folder, plan, named or cwd)


def _candidates(
    folder: str, plan: PlanDocument, named: str | None, cwd: str
) -> Iterator[_Candidate]:
    places = [named] if named else []
    above = os.path.abspath(folder)
    while above != os.path.dirname(above):
        places.append(above)
        above = os.path.dirname(above)
    paths = files_that_may_hold(plan.pipeline)
    for place in dict.fromkeys(map(os.path.abspath, [*places, cwd])):
        files = (os.path.join(place, path) for path in paths)
        file = next(filter(os.path.isfile, files), None)
        if file is not None:
            yield _Candidate(place, file)


def _is_inside(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder


def _project_of_installed(folder: str, plan: PlanDocument, start: str) -> str:
    """Return the project of a pipeline that is an installed module: the user's environment's."""
    here = find_project(start)
    if (module := locate(plan.pipeline, [here], here)).is_there:
        return project_of_module(module, here)
    raise UsageError(
        f"cannot find the project of the plan in `{folder}`",
        facts=[("pipeline", plan.pipeline)],
        consequence="nothing was run",
        hint="run it from the project's folder, or set MARIN_BUILD_PROJECT",
    )
