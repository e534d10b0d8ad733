"""Saves a plan to a directory, and reads one back, unless one of its files was edited."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from marin_build.errors import StoppedError, UsageError
from marin_build.operations.loading import refuse_without_file
from marin_build.operations.planned import refuse_assumptions
from marin_build.operations.refuse_secrets import refuse_secrets
from marin_build.operations.replace_plan import (
    file_digest,
    finish_replacement,
    write_plan_directory,
)
from marin_build.pipeline.locate import files_that_may_hold, locate, project_of_module
from marin_build.plan.document import (
    BUNDLE_FILE,
    PAGE_FILE,
    PLAN_FILE,
    PlanDocument,
    _unreadable,
    parse_plan,
)
from marin_build.workspace.places import refuse_url
from marin_build.workspace.workspace import PROJECT_VARIABLE, find_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.planned import Planned


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan that was written to a directory.

    Args:
        planned: the plan as it was written.
        folder: the directory.
        has_page: whether its picture is among the files.

    """

    planned: Planned
    folder: str
    has_page: bool

    @property
    def again(self) -> tuple[str, Sequence[str]]:
        """What to do with it, and the words of the command that does that."""
        engine = self.planned.engine
        label = "to run exactly this" if engine.capabilities.applies else "to submit it"
        return label, engine.words_to_run(self.folder)


def save_plan(planned: Planned, folder: str) -> SavedPlan:
    """Write a plan to a directory, with the scripts of its steps and its picture.

    Raises:
        UsageError: the folder holds something else, the plan has assumptions, or its steps are
            declared in no file.
        SpecificationError: a second load of the pipeline declares something else.
        StoreError: it cannot be written.

    """
    from marin_build.engines.emission import emit_for
    from marin_build.operations.queued_jobs import bundle_to_make
    from marin_build.operations.second_load import loaded_twice

    refuse_assumptions(planned.request.assume_changed, planned.request.assume_built)
    refuse_without_file(planned.loaded.pipeline.program, "the plan cannot be saved")
    with loaded_twice(planned.loaded) as compare:
        planned = planned.with_adopted()
        loaded = planned.loaded
        refuse_secrets(loaded, range(len(loaded.targets)))
        bundle = bundle_to_make(planned)
        files = emit_for(
            planned.engine,
            planned.decided,
            pipeline=loaded.file,
            parameters=loaded.pipeline.parameters,
            overrides=loaded.settings.templates,
            with_page=True,
            bundle=bundle.name if bundle is not None else None,
            others={BUNDLE_FILE: bundle.as_text} if bundle is not None else {},
        )
        compare()
    write_plan_directory(folder, files)
    return SavedPlan(planned, folder, PAGE_FILE in files)


def read_plan_directory(folder: str) -> PlanDocument:
    """Return the plan of a directory whose files are those that were written.

    Its page may be missing: nothing of it is run, and it may be too large to be kept.

    Raises:
        UsageError: no plan there.
        StoppedError: an unknown schema, or files that were edited or are missing.

    """
    refuse_url(folder, "a plan directory", "plans/NAME")
    path = os.path.join(folder, PLAN_FILE)
    try:
        finish_replacement(folder)
        with open(path, "rb") as stream:
            data = stream.read()
    except FileNotFoundError:
        raise UsageError(
            f"no plan in `{folder}`", hint="make one with `marin-build plan -o DIR`"
        ) from None
    except OSError as error:
        raise _unreadable(f"the plan `{path}`", error) from error
    try:
        plan = parse_plan(data, f"the plan `{path}`")
    except ValidationError as error:
        raise _edited(folder, [PLAN_FILE]) from error
    changed = [] if plan.is_intact else [PLAN_FILE]
    changed += [
        name
        for name, digest in plan.files.items()
        if file_digest(folder, name) != digest and not _may_be_missing(folder, name)
    ]
    if changed:
        raise _edited(folder, changed)
    return plan


def _may_be_missing(folder: str, name: str) -> bool:
    return name == PAGE_FILE and not os.path.lexists(os.path.join(folder, name))


def _edited(folder: str, names: list[str]) -> StoppedError:
    return StoppedError(
        f"the plan in `{folder}` was edited after it was made",
        facts=[("differs", "\n".join(names[:10]))],
        consequence="nothing was run",
        hint="make the plan again; to change what it emits, override a template",
    )


def find_project_of_plan(
    folder: str, plan: PlanDocument, environ: Mapping[str, str], cwd: str
) -> str:
    """Return the folder of a plan's project, which has the pipeline.

    These are tried: the folder that MARIN_BUILD_PROJECT names, those above the plan, `cwd`.

    Raises:
        UsageError: none of them has the pipeline, nor is it an installed module.

    """
    candidates = [environ[PROJECT_VARIABLE]] if environ.get(PROJECT_VARIABLE) else []
    above = os.path.abspath(folder)
    while above != os.path.dirname(above):
        candidates.append(above)
        above = os.path.dirname(above)
    paths = files_that_may_hold(plan.pipeline)
    for candidate in [*candidates, cwd]:
        if any(os.path.isfile(os.path.join(candidate, path)) for path in paths):
            return os.path.abspath(candidate)
    here = find_project(environ.get(PROJECT_VARIABLE) or cwd)
    if (module := locate(plan.pipeline, [here], here)).is_there:
        return project_of_module(module, here)
    raise UsageError(
        f"cannot find the project of the plan in `{folder}`",
        facts=[("pipeline", plan.pipeline)],
        consequence="nothing was run",
        hint="run it from the project's folder, or set MARIN_BUILD_PROJECT",
    )
