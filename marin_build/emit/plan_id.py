"""The short name of a plan, and the engines it can be emitted for. Imports nothing heavy."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.names import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.plan import Plan
    from marin_build.workspace import Workspace

ENGINES = ("local", "kubernetes")


def check_engine(engine: str) -> None:
    """Refuse an engine nobody knows."""
    if engine not in ENGINES:
        raise UsageError(
            f"unknown engine `{engine}`",
            facts=[("engines", ", ".join(ENGINES))],
            hint=did_you_mean(engine, ENGINES),
        )


def text_digest(text: str) -> str:
    """Return the sha-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def relative(path: str, workspace: Workspace) -> str:
    """Return a place inside the project relative to it; any other place as it is."""
    if not (path + os.sep).startswith(workspace.project + os.sep):
        return path
    inside = path[len(workspace.project) + 1 :]
    if (
        inside and "./" not in inside and "//" not in inside
    ):  # as nearly all are; relpath takes 4 times as long
        return inside
    return os.path.relpath(path, workspace.project).replace(os.sep, "/")


def plan_id(plan: Plan, pipeline: str, parameters: Mapping[str, str], engine: str) -> str:
    """Return the short name of a plan: equal for equal decisions on equal targets."""
    workspace = plan.targets.workspace
    facts = [
        pipeline,
        sorted(parameters.items()),
        engine,
        relative(workspace.prefix, workspace),
        [(plan.targets.all[d.index].id, d.kind.value) for d in plan.decisions],
    ]
    insisted = sorted(plan.targets.all[index].id for index in plan.insisted)
    if insisted or plan.assumed:  # who is built although it is built, and what is only assumed
        changed = sorted(plan.targets.all[index].id for index in plan.assumed.changed)
        facts.append([insisted, sorted(plan.targets.all[i].id for i in plan.forced), changed])
    return f"p-{text_digest(json.dumps(facts))[:8]}"
