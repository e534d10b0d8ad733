"""Marin's artifact era: steps that make a named artifact, at `{prefix}/{name}/{version}`.

`ArtifactStep` declares one; `lower` makes it a StepSpec; `run` builds it and loads what it left.
"""

from marin_build.compat.lazy.apply import OUT, apply
from marin_build.compat.lazy.artifact_step import (
    ArtifactStep,
    adopt,
    artifact_identity,
    materialized_config,
)
from marin_build.compat.lazy.context import StepContext, UndeclaredArgumentError
from marin_build.compat.lazy.lowering import lower
from marin_build.compat.lazy.running import resolve, run

__all__ = [
    "OUT",
    "ArtifactStep",
    "StepContext",
    "UndeclaredArgumentError",
    "adopt",
    "apply",
    "artifact_identity",
    "lower",
    "materialized_config",
    "resolve",
    "run",
]
