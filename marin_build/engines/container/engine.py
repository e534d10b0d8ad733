"""What containers on this machine say of themselves as an engine."""

from __future__ import annotations

import os
import shlex
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine, several_hosts
from marin_build.engines.bundle_setting import check_bundle_limit
from marin_build.engines.container.scripts import emit_containers, script_of
from marin_build.engines.container.settings import ContainerSettings
from marin_build.engines.jobs import job_name
from marin_build.plan.capacity import hosts_of
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument

_LOGS = ".marin-build/containers"


class ContainerEngine(Engine[ContainerSettings]):
    """Podman or docker."""

    name: ClassVar[str] = "container"
    settings_type: ClassVar[type[Any]] = ContainerSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=True,
        sees_local_prefix=True,
        applies=True,
        has_queue=True,
        workers="containers",
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {"sh_words": shlex.join}

    @property
    def image(self) -> str | None:
        """The image of steps that name none."""
        return self.settings.image

    @property
    def bundle_limit(self) -> int | None:
        """The bytes of a bundle of code; None: jobs find the code where they run."""
        if self.settings.code_from != "bundle":
            return None
        return check_bundle_limit(self.name, self.settings.bundle_limit)

    @property
    def max_jobs(self) -> int:
        """How many containers run at once."""
        return self.settings.max_containers or os.cpu_count() or 1

    @property
    def runtime(self) -> str:
        """The program that runs containers."""
        if self.settings.runtime is not None:
            return self.settings.runtime
        return "docker" if shutil.which("docker") and not shutil.which("podman") else "podman"

    def takes(self, step: StepSpec) -> bool:
        """Return whether a step runs in a container: it, or the configuration, names an image."""
        return self.image_of(step) is not None

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return an error for each step in a container that needs several hosts."""
        return [
            several_hosts(step.name, hosts, self.name)
            for step in steps_to_build(plan)
            if self.takes(step) and (hosts := hosts_of(step)) > 1
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the scripts that start containers."""
        return emit_containers(plan, document, templates, self.settings, self.runtime)

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the plan is run and followed."""
        return ["marin-build", "apply", folder]

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's container, and the path of its script."""
        return job_name(workspace.prefix, target), script_of(target)

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return the containers of this user."""
        from marin_build.engines.container.command_line import ContainerQueue

        logs = os.path.join(workspace.project, _LOGS)
        return ContainerQueue(self.runtime, workspace.project, logs, self.settings.poll)

    def doctor(self) -> Iterable[str]:
        """Yield which programs run containers here, and ask the one that would be used."""
        for name in ("podman", "docker"):
            yield f"{name}: {shutil.which(name) or 'not found'}"
        yield f"image: {self.image or 'only steps that name one run in containers'}"
        self.open_queue(Workspace("/", "/")).check()
        yield f"containers: {self.runtime} answers"
