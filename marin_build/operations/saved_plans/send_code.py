"""Puts the bundle of code of a saved plan where its jobs look for it."""

from __future__ import annotations

import os

from marin_build.errors import UsageError
from marin_build.operations.engine_jobs.code_bundle import read_bundle, send_bundle
from marin_build.operations.saved_plans.plan_directory import read_plan_directory
from marin_build.operations.saved_plans.project_of_plan import find_project_of_plan
from marin_build.store.open_store import open_store
from marin_build.workspace.workspace import absolute_prefix


def send_saved(folder: str) -> tuple[str, bool]:
    """Put the bundle of a saved plan under the prefix of that plan.

    Returns:
        Its name, and whether it was not there before.

    Raises:
        UsageError: the plan has none, or its project is not found.
        StoppedError: the plan was edited.
        StoreError: the store cannot be read or written.

    """
    document = read_plan_directory(folder)
    if document.bundle is None:
        raise UsageError(f"the plan in `{folder}` has no bundle of code")
    project = find_project_of_plan(folder, document, os.environ, os.getcwd())
    prefix = absolute_prefix(document.prefix, project)
    bundle = read_bundle(folder, document.bundle)
    return bundle.name, send_bundle(open_store(prefix), prefix, bundle)
