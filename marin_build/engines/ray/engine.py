"""What Ray says of itself as an engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine, several_hosts
from marin_build.engines.bundle_setting import check_bundle_limit
from marin_build.engines.jobs import QueueAwayError, job_name
from marin_build.engines.ray.job_files import emit_ray, file_of, json_text
from marin_build.engines.ray.settings import RaySettings
from marin_build.errors import UsageError
from marin_build.plan.capacity import hosts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.workspace.workspace import Workspace

_LOGS = ".marin-build/ray"
_PATIENCE_OF_DOCTOR = 5.0


class RayEngine(Engine[RaySettings]):
    """A Ray cluster that is there already."""

    name: ClassVar[str] = "ray"
    settings_type: ClassVar[type[Any]] = RaySettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=False,
        sees_local_prefix=True,
        applies=True,
        has_queue=True,
        workers="jobs",
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {"json": json_text}

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
        """Return an error for each step that needs a container, or several hosts."""
        steps = steps_to_build(plan)
        images = [
            UsageError(
                f"`{step.name}` names an image, and jobs run in none here",
                hint="leave the image out, or start the cluster's nodes in it",
            )
            for step in steps
            if step.resources is not None and step.resources.image
        ]
        hosts = [(step.name, hosts_of(step)) for step in steps]
        return [*images, *(several_hosts(name, n, self.name) for name, n in hosts if n > 1)]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the files of jobs, and what submits them."""
        return emit_ray(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the plan is submitted and followed."""
        return ["marin-build", "apply", folder]

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's job, and the path of its file in a plan directory."""
        return job_name(workspace.prefix, target), file_of(target)

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return the jobs of the cluster."""
        from marin_build.engines.ray.dashboard import open_dashboard
        from marin_build.engines.ray.job_queue import RayQueue

        logs = os.path.join(workspace.project, _LOGS)
        return RayQueue(open_dashboard(self.settings), logs, self.settings.poll)

    def doctor(self) -> Iterable[str]:
        """Yield what the cluster has, if it answers."""
        from marin_build.engines.ray.cluster_resources import cluster_words
        from marin_build.engines.ray.dashboard import AnswerError, address_of, open_dashboard
        from marin_build.engines.ray.job_queue import RayQueue

        yield f"dashboard: {address_of(self.settings)}"
        queue = RayQueue(open_dashboard(self.settings), "/", 1.0)
        try:
            yield f"ray: {queue.version(_PATIENCE_OF_DOCTOR)['ray_version']}"
            yield f"cluster: {cluster_words(queue.nodes(_PATIENCE_OF_DOCTOR))}"
        except AnswerError as error:
            raise QueueAwayError(f"Ray answers with an error: {error.reason}") from None
