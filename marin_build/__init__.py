"""marin-build: step graphs in Python -> reviewable plans -> incremental replays.

The public names are imported when they are first used, so that importing the package is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build._version import __version__

if TYPE_CHECKING:
    from marin_build.artifacts import Artifact as Artifact
    from marin_build.clients import Client as Client
    from marin_build.clients import JobHandle as JobHandle
    from marin_build.clients import JobRequest as JobRequest
    from marin_build.clients import JobStatus as JobStatus
    from marin_build.clients import LocalClient as LocalClient
    from marin_build.clients import current_client as current_client
    from marin_build.clients import set_current_client as set_current_client
    from marin_build.clients import submit as submit
    from marin_build.command_step import command as command
    from marin_build.decorator import StepFunction as StepFunction
    from marin_build.decorator import step as step
    from marin_build.disk_caching import disk_cache as disk_cache
    from marin_build.distributed_locking import distributed_lock as distributed_lock
    from marin_build.errors import MarinBuildError as MarinBuildError
    from marin_build.errors import PreviousTaskFailedError as PreviousTaskFailedError
    from marin_build.errors import StepAlreadyDone as StepAlreadyDone
    from marin_build.protocol.status import STATUS_DEP_FAILED as STATUS_DEP_FAILED
    from marin_build.protocol.status import STATUS_FAILED as STATUS_FAILED
    from marin_build.protocol.status import STATUS_RUNNING as STATUS_RUNNING
    from marin_build.protocol.status import STATUS_SUCCESS as STATUS_SUCCESS
    from marin_build.remote_callable import RemoteCallable as RemoteCallable
    from marin_build.remote_callable import remote as remote
    from marin_build.resources import ResourceConfig as ResourceConfig
    from marin_build.retries import Retries as Retries
    from marin_build.sources import Source as Source
    from marin_build.sources import source as source
    from marin_build.status_file import StatusFile as StatusFile
    from marin_build.status_file import should_run as should_run
    from marin_build.step_runner import StepRunner as StepRunner
    from marin_build.step_spec import DeclaredStep as DeclaredStep
    from marin_build.step_spec import StepSpec as StepSpec
    from marin_build.worker import worker_id as worker_id

_HOMES = {
    "Artifact": "artifacts",
    "Client": "clients",
    "DeclaredStep": "step_spec",
    "JobHandle": "clients",
    "JobRequest": "clients",
    "JobStatus": "clients",
    "LocalClient": "clients",
    "MarinBuildError": "errors",
    "PreviousTaskFailedError": "errors",
    "RemoteCallable": "remote_callable",
    "ResourceConfig": "resources",
    "Retries": "retries",
    "STATUS_DEP_FAILED": "protocol.status",
    "STATUS_FAILED": "protocol.status",
    "STATUS_RUNNING": "protocol.status",
    "STATUS_SUCCESS": "protocol.status",
    "Source": "sources",
    "StatusFile": "status_file",
    "StepAlreadyDone": "errors",
    "StepFunction": "decorator",
    "StepRunner": "step_runner",
    "StepSpec": "step_spec",
    "command": "command_step",
    "current_client": "clients",
    "disk_cache": "disk_caching",
    "distributed_lock": "distributed_locking",
    "remote": "remote_callable",
    "set_current_client": "clients",
    "should_run": "status_file",
    "source": "sources",
    "step": "decorator",
    "submit": "clients",
    "worker_id": "worker",
}

__all__ = [
    "STATUS_DEP_FAILED",
    "STATUS_FAILED",
    "STATUS_RUNNING",
    "STATUS_SUCCESS",
    "Artifact",
    "Client",
    "DeclaredStep",
    "JobHandle",
    "JobRequest",
    "JobStatus",
    "LocalClient",
    "MarinBuildError",
    "PreviousTaskFailedError",
    "RemoteCallable",
    "ResourceConfig",
    "Retries",
    "Source",
    "StatusFile",
    "StepAlreadyDone",
    "StepFunction",
    "StepRunner",
    "StepSpec",
    "__version__",
    "command",
    "current_client",
    "disk_cache",
    "distributed_lock",
    "remote",
    "set_current_client",
    "should_run",
    "source",
    "step",
    "submit",
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
