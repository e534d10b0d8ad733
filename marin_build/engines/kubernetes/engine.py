"""The engine `kubernetes`."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.kubernetes.manifests import emit_kubernetes
from marin_build.engines.kubernetes.settings import KubernetesSettings
from marin_build.engines.kubernetes.text import kubernetes_text
from marin_build.errors import MarinBuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.emit.templates import Templates
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
        """Return an error for each step without an image."""
        if self.image is not None:
            return ()
        return [
            UsageError(
                f"`{step.name}` has no image to run in",
                hint="set `image` in [tool.marin-build.kubernetes], or on the step's resources",
            )
            for step in steps_to_build(plan)
            if step.resources is None or not step.resources.image
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return one manifest for each target to build."""
        return emit_kubernetes(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return the command line that submits the manifests."""
        return ["kubectl", "apply", "-R", "-f", os.path.join(folder, "steps")]

    def doctor(self) -> list[str]:
        """Return a line that says whether `kubectl` is installed here."""
        program = shutil.which("kubectl")
        if program is None:
            return ["kubectl: not found; manifests are written here, and submitted elsewhere"]
        return [f"kubectl: {program}"]
