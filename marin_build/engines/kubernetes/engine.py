"""What Kubernetes says of itself as an engine."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.bundle_setting import check_bundle_limit
from marin_build.engines.kubernetes.check_steps import problems_of_step, without_digest
from marin_build.engines.kubernetes.manifests import emit_kubernetes, manifest_of
from marin_build.engines.kubernetes.names import job_name
from marin_build.engines.kubernetes.settings import KubernetesSettings
from marin_build.engines.kubernetes.text import kubernetes_text
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument

_LOGS = ".marin-build/kubernetes"


class KubernetesEngine(Engine[KubernetesSettings]):
    """A namespace of a cluster, whose pods see a bucket."""

    name: ClassVar[str] = "kubernetes"
    settings_type: ClassVar[type[Any]] = KubernetesSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=False,
        sees_local_prefix=False,
        applies=True,
        has_queue=True,
        gangs=True,
        workers="pods",
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {"kubernetes_text": kubernetes_text}

    @property
    def image(self) -> str | None:
        """The image of steps that name none."""
        return self.settings.image

    @property
    def bundle_limit(self) -> int | None:
        """The bytes of a bundle of code; None: pods find the code in their image."""
        if self.settings.code_from != "bundle":
            return None
        return check_bundle_limit(self.name, self.settings.bundle_limit)

    @property
    def max_jobs(self) -> int:
        """How many jobs may wait or run at once."""
        return self.settings.max_jobs

    def takes(self, step: StepSpec) -> bool:  # noqa: ARG002 - all
        """Return True: what asks for nothing runs in a pod, too, with its image's packages."""
        return True

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return an error for each thing that a cluster would refuse, or accept and never run."""
        return [
            problem
            for step in steps_to_build(plan)
            for problem in problems_of_step(step, self.image)
        ]

    def warnings(self, plan: Plan) -> Sequence[str]:
        """Return a line for each image that may be another one when its pods start."""
        return without_digest(steps_to_build(plan), self.image)

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return one manifest for each target to build, and a script that submits them."""
        return emit_kubernetes(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the plan is submitted and followed."""
        return ["marin-build", "apply", folder]

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's job, and the path of its manifest in a plan directory."""
        return job_name(workspace.prefix, target), manifest_of(target)

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return the jobs of this prefix."""
        from marin_build.engines.kubernetes.api_queue import ApiQueue
        from marin_build.engines.kubernetes.cluster_api import ClusterApi

        cluster = self.settings
        return ApiQueue(
            ClusterApi(cluster.context, cluster.namespace),
            workspace.prefix,
            os.path.join(workspace.project, _LOGS),
            cluster.poll,
            cluster.start_within,
        )

    def doctor(self) -> Iterable[str]:
        """Yield whether `kubectl`, which scripts need, is here, and whether a cluster answers."""
        yield f"kubectl: {shutil.which('kubectl') or 'not found; `apply` needs none'}"
        self.open_queue(Workspace("/", "/")).check()
        yield "cluster: answers"

    def trial(self) -> Iterator[str]:
        """Create, follow, evict and delete a tiny Job."""
        from marin_build.engines.kubernetes.cluster_api import ClusterApi
        from marin_build.engines.kubernetes.trial import has_jobsets, trial

        api = ClusterApi(self.settings.context, self.settings.namespace)
        yield from trial(api, self.settings)
        known = "known" if has_jobsets(api) else "not known: steps on several hosts cannot run"
        yield f"JobSet: {known}"
