"""Files of Marin's that load what a step returned without saying its type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build import StepRunner, StepSpec
from marin_build.compat.artifact import Artifact
from marin_build.compat.path_metadata import PathMetadata

if TYPE_CHECKING:
    from pathlib import Path


def _build(output_path: str) -> PathMetadata:
    return PathMetadata(path=output_path)


def test_without_a_type_there_are_json_values_whatever_the_function_says(tmp_path: Path) -> None:
    """Else `Artifact.load(step)["path"]` fails, as it does not in Marin."""
    step = StepSpec("made", fn=_build, output_path_prefix=str(tmp_path))
    StepRunner().run([step])
    assert Artifact.load(step) == {"path": step.output_path}
    assert Artifact.load(step, PathMetadata) == PathMetadata(path=step.output_path)
