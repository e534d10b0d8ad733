"""Paths as what a step returned, in the words of Marin's executor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from marin_build.errors import NoArtifactError
from marin_build.protocol.holder import worker_id
from marin_build.protocol.status import STATUS_SUCCESS
from marin_build.runtime.artifact import load_artifact
from marin_build.runtime.status_file import StatusFile
from marin_build.workspace.workspace import absolute_prefix, current_workspace


class PathMetadata(BaseModel):
    """One output path."""

    path: str


@dataclass
class PathsMetadata:
    """The files of an output, and the folder that they are in."""

    parent_path: str
    paths: list[str]


def value_or_path(source: Any, artifact_type: Any = None) -> Any:
    """Load what a step returned; of one that returned nothing, its path.

    Args:
        source: a step, or a path; a relative one lies under the prefix.
        artifact_type: the type to load it as; None: JSON values.

    Raises:
        NoArtifactError: there is no value, and the output is not built or another type is asked
            for.
        StoreError: the value does not fit, or cannot be read.

    """
    given = getattr(source, "output_path", source)
    path = absolute_prefix(given, current_workspace().prefix)
    try:
        return load_artifact(path, artifact_type)
    except NoArtifactError:
        may_be_path = artifact_type is None or artifact_type is PathMetadata
        if not may_be_path or StatusFile(path, worker_id()).status != STATUS_SUCCESS:
            raise
        return PathMetadata(path=path)
