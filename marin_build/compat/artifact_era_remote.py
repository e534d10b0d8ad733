"""`remote` as the ArtifactStep era has it: with the default resources of that era."""

from __future__ import annotations

from functools import partial

from marin_build.compat import remote as module
from marin_build.compat.fray.artifact_era_resources import ResourceConfig

remote = partial(module.remote, default=ResourceConfig)
