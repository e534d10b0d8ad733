"""The engine `spool`: a job file for each target, for a queue that watches a folder."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from marin_build.emit.plan_directory import actions_of, run_step_words, steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.errors import MarinBuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """`[tool.marin-build.spool]`.

    Args:
        queue: the queue that takes the jobs.
        priority: what the queue starts first.
        slots: how many of the queue's slots a job takes.
        tags: words that people look for in the queue.

    """

    queue: str = "default"
    priority: Literal["low", "high"] = "low"
    slots: int = 1
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the types above cannot."""
        if self.slots < 1:
            raise UsageError("the setting `spool.slots` must be at least 1")


class SpoolEngine(Engine[SpoolSettings]):
    """A queue on a machine that shares its disk with this one."""

    name = "spool"
    settings_type = SpoolSettings
    capabilities = Capabilities(
        uses_this_machine=False, sees_local_prefix=True, applies=False, workers="jobs"
    )
    templates: ClassVar[str | None] = os.path.join(os.path.dirname(__file__), "templates")

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Refuse steps that run on several machines."""
        return [
            UsageError(f"`{step.name}` asks for several machines: a queue has one")
            for step in steps_to_build(plan)
            if step.resources is not None and step.resources.replicas > 1
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return one job file for each target to build."""
        return {
            f"{action.folder}/job.sh": templates.render(
                "spool/job.sh.j2",
                action=action,
                command=run_step_words(action, plan, document),
                project=plan.targets.workspace.project,
                settings=self.settings,
            )
            for action in actions_of(plan)
        }

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the jobs get into the queue."""
        return ["spool", "add", os.path.join(folder, "steps")]

    def doctor(self) -> Iterator[str]:
        """Yield which queue it is; fail without the program that takes its jobs."""
        yield f"queue: {self.settings.queue}"
        if (program := shutil.which("spool")) is None:
            raise UsageError("`spool` is not installed here", hint="run this on a login node")
        yield f"spool: {program}"
