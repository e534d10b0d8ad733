"""The engine `local`. Its imports are light, because a no-op `apply` loads it, too."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from marin_build.engines.base import Capabilities, Engine, NoSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from marin_build.emit.templates import Templates
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


class LocalEngine(Engine[NoSettings]):
    """The engine that runs steps on this machine."""

    name: ClassVar[str] = "local"
    capabilities: ClassVar[Capabilities] = Capabilities(
        uses_this_machine=True, sees_local_prefix=True, applies=True
    )

    def emit(self, plan: Plan, document: PlanDocument, templates: Templates) -> dict[str, str]:
        """Return the scripts that replay the plan."""
        from marin_build.engines.local.scripts import emit_local

        return emit_local(plan, document, templates)

    def words_to_run(self, folder: str) -> list[str]:
        """Return the command line with which `apply` replays the plan."""
        return ["marin-build", "apply", folder]

    def doctor(self) -> Iterable[str]:
        """Return a line with this machine's cores, memory, GPUs and TPU chips."""
        from marin_build.observe.read_machine import read_machine
        from marin_build.text.readable import bytes_text

        machine = read_machine(os.environ)
        ram = bytes_text(machine.ram) if machine.ram is not None else "unknown"
        devices = f"GPUs: {len(machine.gpus)}, TPU chips: {machine.chips}"
        return [f"cores: {machine.cores}, memory: {ram}, {devices}"]
