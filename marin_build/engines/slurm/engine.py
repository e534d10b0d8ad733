"""What Slurm says of itself as an engine."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.bundle_setting import check_bundle_limit
from marin_build.engines.jobs import job_name
from marin_build.engines.slurm.batch_scripts import (
    emit_slurm,
    logs_of,
    sbatch_text,
    script_of,
    shell_line,
)
from marin_build.engines.slurm.settings import SlurmSettings
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.workspace.workspace import Workspace


class SlurmEngine(Engine[SlurmSettings]):
    """A cluster with a file system that all its nodes share."""

    name: ClassVar[str] = "slurm"
    settings_type: ClassVar[type[Any]] = SlurmSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=False,
        sees_local_prefix=True,
        applies=True,
        has_queue=True,
        detaches=True,
        gangs=True,
        workers="jobs",
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {
        "sbatch": sbatch_text,
        "sh_words": shlex.join,
        "shell_line": shell_line,
    }

    @property
    def bundle_limit(self) -> int | None:
        """The bytes of a bundle of code; None: jobs find the code in the project's folder."""
        if self.settings.code_from != "bundle":
            return None
        return check_bundle_limit(self.name, self.settings.bundle_limit)

    @property
    def max_jobs(self) -> int:
        """How many jobs may wait or run at once."""
        return self.settings.max_jobs

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return an error for each step that needs a container."""
        return [
            UsageError(
                f"`{step.name}` names an image, and jobs run in none here",
                hint="leave the image out, or start the container in `slurm.setup`",
            )
            for step in steps_to_build(plan)
            if step.resources is not None and step.resources.image
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the batch scripts, and what submits them."""
        return emit_slurm(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the plan is submitted and followed."""
        return ["marin-build", "apply", folder]

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's job, and the path of its file in a plan directory."""
        return job_name(workspace.prefix, target), script_of(target)

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return the jobs of this user."""
        from marin_build.engines.slurm.command_line import SlurmQueue

        logs = os.path.join(workspace.project, logs_of(workspace, self.settings))
        return SlurmQueue(workspace.project, logs, self.settings.poll)

    def doctor(self) -> Iterable[str]:
        """Yield whether there is a cluster here."""
        from marin_build.engines.slurm.command_line import SlurmQueue

        if program := shutil.which("sbatch"):
            yield f"sbatch: {program}"
        SlurmQueue("/", "/", 1.0).check()
        yield "controller: answers"
