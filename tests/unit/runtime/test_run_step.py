"""A program of Marin builds single steps itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.step_runner import check_cache, run_step

if TYPE_CHECKING:
    from pathlib import Path


def test_a_step_is_run_once(tmp_path: Path) -> None:
    """Else a step that is built is built again by each program that asks for it."""
    ran: list[str] = []
    step = StepSpec("one", output_path_prefix=str(tmp_path), fn=ran.append)
    assert not check_cache(step.output_path)
    run_step(step)
    run_step(step)
    assert ran == [step.output_path]
    assert check_cache(step.output_path)
