"""marin-build: step graphs in Python -> reviewable plans -> incremental replays.

The public names are imported when they are first used, so that importing the package is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build._version import __version__

if TYPE_CHECKING:
    from marin_build.errors import LeaseLostError as LeaseLostError
    from marin_build.errors import MarinBuildError as MarinBuildError
    from marin_build.errors import PreviousTaskFailedError as PreviousTaskFailedError
    from marin_build.errors import StepAlreadyDone as StepAlreadyDone
    from marin_build.errors import StepFailedError as StepFailedError
    from marin_build.identity.secret import Secret as Secret
    from marin_build.operations.building.apply_errors import ApplyFailedError as ApplyFailedError
    from marin_build.operations.building.apply_errors import ApplyStoppedError as ApplyStoppedError
    from marin_build.operations.engine_jobs.engine_client import EngineClient as EngineClient
    from marin_build.operations.python_api.project import Project as Project
    from marin_build.operations.python_api.project_plan import ProjectPlan as ProjectPlan
    from marin_build.pipeline.command import command as command
    from marin_build.pipeline.decorator import StepFunction as StepFunction
    from marin_build.pipeline.decorator import step as step
    from marin_build.pipeline.expansion import Expansion as Expansion
    from marin_build.pipeline.expansion import expand as expand
    from marin_build.pipeline.grid import Point as Point
    from marin_build.pipeline.grid import grid as grid
    from marin_build.pipeline.resources import ResourceConfig as ResourceConfig
    from marin_build.pipeline.retries import Retries as Retries
    from marin_build.pipeline.source import Source as Source
    from marin_build.pipeline.source import source as source
    from marin_build.pipeline.step_spec import DeclaredStep as DeclaredStep
    from marin_build.pipeline.step_spec import StepSpec as StepSpec
    from marin_build.pipeline.tpu_slices import TpuSlice as TpuSlice
    from marin_build.protocol.holder import worker_id as worker_id
    from marin_build.protocol.status import STATUS_DEP_FAILED as STATUS_DEP_FAILED
    from marin_build.protocol.status import STATUS_FAILED as STATUS_FAILED
    from marin_build.protocol.status import STATUS_RUNNING as STATUS_RUNNING
    from marin_build.protocol.status import STATUS_SUCCESS as STATUS_SUCCESS
    from marin_build.runtime.artifact import Artifact as Artifact
    from marin_build.runtime.clients import Client as Client
    from marin_build.runtime.clients import current_client as current_client
    from marin_build.runtime.clients import set_current_client as set_current_client
    from marin_build.runtime.clients import submit as submit
    from marin_build.runtime.disk_cache import disk_cache as disk_cache
    from marin_build.runtime.distributed_lock import distributed_lock as distributed_lock
    from marin_build.runtime.job_request import JobEnvironment as JobEnvironment
    from marin_build.runtime.job_request import JobRequest as JobRequest
    from marin_build.runtime.jobs import JobAlreadyExists as JobAlreadyExists
    from marin_build.runtime.jobs import JobFailed as JobFailed
    from marin_build.runtime.jobs import JobHandle as JobHandle
    from marin_build.runtime.jobs import JobStatus as JobStatus
    from marin_build.runtime.jobs import wait_all as wait_all
    from marin_build.runtime.local_client import LocalClient as LocalClient
    from marin_build.runtime.ranks import Rank as Rank
    from marin_build.runtime.ranks import current_rank as current_rank
    from marin_build.runtime.remote import RemoteCallable as RemoteCallable
    from marin_build.runtime.remote import remote as remote
    from marin_build.runtime.status_file import StatusFile as StatusFile
    from marin_build.runtime.status_file import check_cache as check_cache
    from marin_build.runtime.status_file import should_run as should_run
    from marin_build.runtime.step_lock import step_lock as step_lock
    from marin_build.runtime.step_runner import StepRunner as StepRunner

_HOMES = {
    "ApplyFailedError": "operations.building.apply_errors",
    "ApplyStoppedError": "operations.building.apply_errors",
    "Artifact": "runtime.artifact",
    "Client": "runtime.clients",
    "DeclaredStep": "pipeline.step_spec",
    "EngineClient": "operations.engine_jobs.engine_client",
    "Expansion": "pipeline.expansion",
    "JobAlreadyExists": "runtime.jobs",
    "JobEnvironment": "runtime.job_request",
    "JobFailed": "runtime.jobs",
    "JobHandle": "runtime.jobs",
    "JobRequest": "runtime.job_request",
    "JobStatus": "runtime.jobs",
    "LeaseLostError": "errors",
    "LocalClient": "runtime.local_client",
    "MarinBuildError": "errors",
    "Point": "pipeline.grid",
    "PreviousTaskFailedError": "errors",
    "Project": "operations.python_api.project",
    "ProjectPlan": "operations.python_api.project_plan",
    "Rank": "runtime.ranks",
    "RemoteCallable": "runtime.remote",
    "ResourceConfig": "pipeline.resources",
    "Retries": "pipeline.retries",
    "STATUS_DEP_FAILED": "protocol.status",
    "STATUS_FAILED": "protocol.status",
    "STATUS_RUNNING": "protocol.status",
    "STATUS_SUCCESS": "protocol.status",
    "Secret": "identity.secret",
    "Source": "pipeline.source",
    "StatusFile": "runtime.status_file",
    "StepAlreadyDone": "errors",
    "StepFailedError": "errors",
    "StepFunction": "pipeline.decorator",
    "StepRunner": "runtime.step_runner",
    "StepSpec": "pipeline.step_spec",
    "TpuSlice": "pipeline.tpu_slices",
    "check_cache": "runtime.status_file",
    "command": "pipeline.command",
    "current_client": "runtime.clients",
    "current_rank": "runtime.ranks",
    "disk_cache": "runtime.disk_cache",
    "distributed_lock": "runtime.distributed_lock",
    "expand": "pipeline.expansion",
    "grid": "pipeline.grid",
    "remote": "runtime.remote",
    "set_current_client": "runtime.clients",
    "should_run": "runtime.status_file",
    "source": "pipeline.source",
    "step": "pipeline.decorator",
    "step_lock": "runtime.step_lock",
    "submit": "runtime.clients",
    "wait_all": "runtime.jobs",
    "worker_id": "protocol.holder",
}

__all__ = [
    "STATUS_DEP_FAILED",
    "STATUS_FAILED",
    "STATUS_RUNNING",
    "STATUS_SUCCESS",
    "ApplyFailedError",
    "ApplyStoppedError",
    "Artifact",
    "Client",
    "DeclaredStep",
    "EngineClient",
    "Expansion",
    "JobAlreadyExists",
    "JobEnvironment",
    "JobFailed",
    "JobHandle",
    "JobRequest",
    "JobStatus",
    "LeaseLostError",
    "LocalClient",
    "MarinBuildError",
    "Point",
    "PreviousTaskFailedError",
    "Project",
    "ProjectPlan",
    "Rank",
    "RemoteCallable",
    "ResourceConfig",
    "Retries",
    "Secret",
    "Source",
    "StatusFile",
    "StepAlreadyDone",
    "StepFailedError",
    "StepFunction",
    "StepRunner",
    "StepSpec",
    "TpuSlice",
    "__version__",
    "check_cache",
    "command",
    "current_client",
    "current_rank",
    "disk_cache",
    "distributed_lock",
    "expand",
    "grid",
    "remote",
    "set_current_client",
    "should_run",
    "source",
    "step",
    "step_lock",
    "submit",
    "wait_all",
    "worker_id",
]


def __getattr__(name: str) -> object:
    """Import a public name from its module."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names: other attributes of this module may change any day."""
    return list(__all__)
