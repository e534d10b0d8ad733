"""The engine `kubernetes`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.kubernetes.check_steps import problems_of_step
from marin_build.engines.kubernetes.manifests import emit_kubernetes
from marin_build.engines.kubernetes.settings import KubernetesSettings
from marin_build.engines.kubernetes.text import kubernetes_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.errors import MarinBuildError
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


class KubernetesEngine(Engine[KubernetesSettings]):
    """The engine that writes manifests for a cluster; it does not submit them."""

    name: ClassVar[str] = "kubernetes"
    settings_type: ClassVar[type[Any]] = KubernetesSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=False, sees_local_prefix=False, applies=False, workers="pods"
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = {"kubernetes_text": kubernetes_text}

    @property
    def image(self) -> str | None:
        """The image of steps that name none."""
        return self.settings.image

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return an error for each thing that a cluster would refuse, or accept and never run."""
        return [
            problem
            for step in steps_to_build(plan)
            for problem in problems_of_step(step, self.image)
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return one manifest for each target to build, and a script that submits them."""
        return emit_kubernetes(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return the command line that submits the manifests, each after those that it needs."""
        return ["bash", os.path.join(folder, "submit.sh")]

    def doctor(self) -> list[str]:
        """Return a line that says whether `kubectl` is installed here."""
        program = shutil.which("kubectl")
        if program is None:
            return ["kubectl: not found; manifests are written here, and submitted elsewhere"]
        return [f"kubectl: {program}"]
