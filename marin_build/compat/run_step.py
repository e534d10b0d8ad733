"""One step, run by the program that calls it, in the words of Marin's StepRunner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol.holder import worker_id
from marin_build.protocol.status import STATUS_SUCCESS
from marin_build.runtime.executable import executable
from marin_build.runtime.status_file import StatusFile

if TYPE_CHECKING:
    import os

    from marin_build.pipeline.step_spec import StepSpec


def check_cache(output_path: str | os.PathLike[str]) -> bool:
    """Return whether an output is built."""
    return StatusFile(output_path, worker_id()).status == STATUS_SUCCESS


def run_step(step: StepSpec) -> None:
    """Build a step under its lock, unless it is built. What it needs must be built.

    Raises:
        Exception: what its function raised.
        SpecificationError: the step asks for what a thread cannot have.

    """
    executable(step)(step.output_path)
