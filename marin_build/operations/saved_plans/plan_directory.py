"""Saves a plan to a directory, and reads one back, unless one of its files was edited."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from marin_build.errors import StoppedError
from marin_build.operations.loading.find_pipeline import refuse_without_file
from marin_build.operations.planning.planned import refuse_assumptions
from marin_build.operations.planning.refuse_secrets import refuse_secrets
from marin_build.operations.saved_plans.project_of_plan import pipeline_digest
from marin_build.operations.saved_plans.replace_plan import (
    file_digest,
    finish_replacement,
    write_plan_directory,
)
from marin_build.plan.document import (
    BUNDLE_FILE,
    PAGE_FILE,
    PLAN_FILE,
    SIGNATURE_FILE,
    PlanDocument,
    is_intact,
    parse_plan,
    unreadable,
)
from marin_build.workspace.places import refuse_url
from marin_build.workspace.regular_files import LONGEST_PLAN, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from marin_build.operations.planning.planned import Planned


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


def save_plan(planned: Planned, folder: str, key: str | None = None) -> SavedPlan:
    """Write a plan to a directory, with the scripts of its steps and its picture.

    Args:
        planned: the plan.
        folder: the directory.
        key: the file of a key that ssh-keygen signs the plan with; None: it is not signed.

    Raises:
        UsageError: the folder holds something else, the plan has assumptions, its steps are
            declared in no file, or it cannot be signed.
        SpecificationError: a second load of the pipeline declares something else.
        StoreError: it cannot be written.

    """
    from marin_build.engines.emission import emit_for
    from marin_build.operations.engine_jobs.queued_jobs import bundle_to_make
    from marin_build.operations.loading.second_load import loaded_twice

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
            pipeline_digest=pipeline_digest(loaded.pipeline.module.file),
            parameters=loaded.pipeline.parameters,
            overrides=loaded.settings.templates,
            secrets=loaded.settings.secrets,
            with_page=True,
            bundle=bundle.name if bundle is not None else None,
            others={BUNDLE_FILE: bundle.as_text} if bundle is not None else {},
        )
        compare()
    if key is not None:
        from marin_build.operations.saved_plans.plan_signature import sign

        files[SIGNATURE_FILE] = sign(files[PLAN_FILE], key)
    write_plan_directory(folder, files)
    return SavedPlan(planned, folder, PAGE_FILE in files)


def read_plan_directory(
    folder: str, signers: Callable[[PlanDocument], Iterable[str]] = lambda _plan: ()
) -> PlanDocument:
    """Return the plan of a directory whose files are those that were written.

    Its page may be missing: nothing of it is run, and it may be too large to be kept.

    Args:
        folder: the directory.
        signers: returns files of allowed signers; one of each must have signed the plan. It gets
            the plan as it stands there.

    Raises:
        StoppedError: no plan there, or it cannot be read; an unknown schema; files that were
            edited or are missing; a signature that is missing, or is of nobody who may sign.
        UsageError: the signature cannot be checked.

    """
    refuse_url(folder, "a plan directory", "plans/NAME")
    path = os.path.join(folder, PLAN_FILE)
    try:
        finish_replacement(folder)
        data = read_regular(path, LONGEST_PLAN)
    except (FileNotFoundError, NotADirectoryError):
        raise no_plan(folder) from None
    except OSError as error:
        raise unreadable(f"the plan `{path}`", error, "make the plan again") from error
    try:
        plan = parse_plan(data, f"the plan `{path}`")
    except ValidationError as error:
        raise _edited(folder, [PLAN_FILE]) from error
    for allowed in signers(plan):
        from marin_build.operations.saved_plans.plan_signature import check_signature

        check_signature(folder, data, allowed)
    changed = [] if is_intact(data, plan) else [PLAN_FILE]
    changed += [
        name
        for name, digest in plan.files.items()
        if file_digest(folder, name) != digest and not _may_be_missing(folder, name)
    ]
    if changed:
        raise _edited(folder, changed)
    return plan


def no_plan(folder: str) -> StoppedError:
    """Return the error for a folder in which there is no plan, or none any more."""
    is_there = os.path.isdir(folder)
    what = f"it has no `{PLAN_FILE}`" if is_there else "there is no such folder"
    return StoppedError(
        f"no plan in `{folder}`",
        facts=[("reason", what)],
        consequence="nothing was run",
        hint="make one with `marin-build plan -o DIR`",
    )


def _may_be_missing(folder: str, name: str) -> bool:
    return name == PAGE_FILE and not os.path.lexists(os.path.join(folder, name))


def _edited(folder: str, names: list[str]) -> StoppedError:
    return StoppedError(
        f"the plan in `{folder}` was edited after it was made",
        facts=[("differs", "\n".join(names[:10]))],
        consequence="nothing was run",
        hint="make the plan again; to change what it emits, override a template",
    )
