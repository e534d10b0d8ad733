"""What TPU VMs say of themselves as an engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from marin_build.emit.plan_directory import steps_to_build
from marin_build.engines.base import Capabilities, Engine
from marin_build.engines.bundle_setting import check_bundle_limit
from marin_build.engines.jobs import QueueAwayError
from marin_build.engines.tpu_vm.accelerators import check_place, check_slice
from marin_build.engines.tpu_vm.queued_resources import (
    FILTERS,
    device_of,
    emit_tpu_vms,
    file_of,
    parent_of,
    resource_name,
)
from marin_build.engines.tpu_vm.settings import TpuVmSettings
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from marin_build.emit.templates import Templates
    from marin_build.engines.jobs import JobQueue
    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.workspace.workspace import Workspace

_LOGS = ".marin-build/tpu-vm"
_PATIENCE_OF_DOCTOR = 5.0


class TpuVmEngine(Engine[TpuVmSettings]):
    """TPU VMs of Google Cloud, one queued resource a step."""

    name: ClassVar[str] = "tpu-vm"
    settings_type: ClassVar[type[Any]] = TpuVmSettings
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=False,
        sees_local_prefix=False,
        applies=True,
        has_queue=True,
        gangs=True,
        only_device="tpu",
        workers="TPU VMs",
    )
    filters: ClassVar[Mapping[str, Callable[[Any], str]]] = FILTERS

    @property
    def image(self) -> str | None:
        """The image of steps that name none."""
        return self.settings.image

    @property
    def bundle_limit(self) -> int | None:
        """The bytes of a bundle of code; None: the code lies in the image."""
        if self.settings.code_from != "bundle":
            return None
        return check_bundle_limit(self.name, self.settings.bundle_limit)

    @property
    def max_jobs(self) -> int:
        """How many queued resources may wait or run at once."""
        return self.settings.max_jobs

    def takes(self, step: StepSpec) -> bool:
        """Return whether a step runs on TPU VMs: it asks for a TPU."""
        return device_of(step) is not None

    def check(self, plan: Plan) -> Sequence[MarinBuildError]:
        """Return an error for each step that no queued resource could have machines for."""
        steps = [step for step in steps_to_build(plan) if self.takes(step)]
        missing = [key for key in ("project", "zone") if steps and not getattr(self.settings, key)]
        return [
            *(
                UsageError(
                    f"the engine `tpu-vm` needs the setting `tpu-vm.{key}`",
                    hint='for example project = "my-project" and zone = "us-east5-a"',
                )
                for key in missing
            ),
            *(error for step in steps for error in self._problems_of(step)),
        ]

    def _problems_of(self, step: StepSpec) -> Iterator[MarinBuildError]:
        settings, device, resources = self.settings, device_of(step), step.resources
        if device is None or resources is None:
            return
        if (error := check_slice(step.name, device, settings.runtime_version)) is not None:
            yield error
        if (
            settings.zone
            and (error := check_place(step.name, resources, settings.zone)) is not None
        ):
            yield error
        if settings.code_from == "image" and self.image_of(step) is None:
            yield UsageError(
                f"`{step.name}` names no image, and its code is to be in one",
                hint="set tpu-vm.image, or tpu-vm.code_from to bundle",
            )

    def warnings(self, plan: Plan) -> Sequence[str]:
        """Return a line for each step that would take other slices, too."""
        return [
            f"`{step.name}` would take {', '.join(resources.device_alternatives)}, too; "
            f"a queued resource asks for {resources.summary()} only"
            for step in steps_to_build(plan)
            if self.takes(step)
            and (resources := step.resources) is not None
            and resources.device_alternatives
        ]

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the queued resources, and scripts for the other steps."""
        return emit_tpu_vms(plan, document, templates, self.settings)

    def words_to_run(self, folder: str) -> list[str]:
        """Return how the plan is submitted and followed."""
        return ["marin-build", "apply", folder]

    def job_of(self, workspace: Workspace, target: str) -> tuple[str, str]:
        """Return the name of a target's job, and the path of its file in a plan directory."""
        return resource_name(workspace.prefix, target), file_of(target)

    def open_queue(self, workspace: Workspace) -> JobQueue:
        """Return the queued resources of the project."""
        from marin_build.engines.tpu_vm.job_queue import TpuVmQueue
        from marin_build.engines.tpu_vm.tpu_api import open_api

        logs = os.path.join(workspace.project, _LOGS)
        return TpuVmQueue(open_api(parent_of(self.settings)), logs, self.settings.poll)

    def doctor(self) -> Iterable[str]:
        """Yield whether the API lists queued resources."""
        from marin_build.engines.tpu_vm.tpu_api import AnswerError, open_api

        if self.settings.project is None or self.settings.zone is None:
            raise UsageError(
                "`tpu-vm.project` or `tpu-vm.zone` is not set",
                hint="set both in the configuration",
            )
        place = parent_of(self.settings)
        yield f"place: {place}"
        try:
            rows = open_api(place).list("queuedResources", _PATIENCE_OF_DOCTOR)
        except AnswerError as error:
            raise QueueAwayError(f"the Cloud TPU API refuses: {error.reason}") from None
        yield f"queued resources: {len(rows)}"
