"""Steps of Marin's executor that returned nothing are known by their path."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.compat.artifact import Artifact
from marin_build.compat.path_metadata import PathMetadata
from marin_build.errors import NoArtifactError
from marin_build.pipeline.step_spec import StepSpec
from marin_build.protocol.status import STATUS_FAILED, STATUS_SUCCESS
from marin_build.runtime.status_file import StatusFile
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def prefix(tmp_path: Path) -> Iterator[str]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path))):
        yield str(tmp_path)


def test_a_value_goes_before_the_path(prefix: str) -> None:
    """Else a consumer of a download cannot name the folder that it is in."""
    step = StepSpec("download", fn=print)
    assert step.output_path.startswith(prefix)
    status = StatusFile(step.output_path, "a test")
    status.write_status(STATUS_FAILED)
    with pytest.raises(NoArtifactError):
        Artifact.from_path(step)
    status.write_status(STATUS_SUCCESS)
    assert Artifact.from_path(step) == PathMetadata(path=step.output_path)
    assert Artifact.from_path(step.name_with_hash, PathMetadata).path == step.output_path
    with pytest.raises(FileNotFoundError):
        Artifact.from_path(step, Artifact)
    Artifact.save({"tokens": 3}, step.output_path)
    assert Artifact.from_path(step) == {"tokens": 3}
