"""Marin's `remote`: a function as a job, with fray's resources."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast, overload

from marin_build.compat.fray.devices import GpuConfig, TpuConfig
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.pipeline.resources import GpuDevice, TpuDevice
from marin_build.runtime.remote import RemoteCallable
from marin_build.runtime.remote import remote as native_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.compat.fray.devices import DeviceConfig
    from marin_build.compat.fray.resource_methods import ResourceMethods
    from marin_build.pipeline.resources import Device
    from marin_build.pipeline.resources import ResourceConfig as NativeResources

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_JOB_NAME = "remote_job"

__all__ = ["DEFAULT_JOB_NAME", "RemoteCallable", "remote"]


@overload
def remote(
    fn: Callable[P, R],
    *,
    name: str | None = None,
    resources: ResourceMethods | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    default: type[ResourceMethods] = ...,
) -> RemoteCallable[P, R]: ...
@overload
def remote(
    *,
    name: str | None = None,
    resources: ResourceMethods | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    default: type[ResourceMethods] = ...,
) -> Callable[[Callable[P, R]], RemoteCallable[P, R]]: ...
def remote(
    fn: Callable[P, R] | None = None,
    *,
    name: str | None = None,
    resources: ResourceMethods | None = None,
    env_vars: Mapping[str, str] | None = None,
    pip_dependency_groups: Sequence[str] | None = None,
    pip_packages: Sequence[str] | None = None,
    default: type[ResourceMethods] = ResourceConfig,
) -> RemoteCallable[P, R] | Callable[[Callable[P, R]], RemoteCallable[P, R]]:
    """Have the current client run a function.

    Args:
        fn: the function; without it, a decorator is returned.
        name: the job's name.
        resources: what it needs; None: what `with_cpu()` of `default` asks for.
        env_vars: environment variables where it runs.
        pip_dependency_groups: groups of dependencies to install there; None: that of the device,
            `gpu` or `tpu`.
        pip_packages: packages to install there.
        default: the ResourceConfig of the era.

    """
    needs = default.with_cpu() if resources is None else resources
    groups = device_groups(needs.device) if pip_dependency_groups is None else pip_dependency_groups
    variables = dict(env_vars or {})
    if "vllm" in groups and isinstance(needs.device, TpuConfig):
        variables.setdefault("VLLM_TARGET_DEVICE", "tpu")  # else vllm is built for GPUs

    decorate: Callable[[Callable[P, R]], RemoteCallable[P, R]] = native_remote(
        resources=cast("NativeResources", needs),  # a JobRequest lowers it
        env_vars=variables,
        pip_dependency_groups=groups,
        pip_packages=pip_packages,
        name=name,
    )
    return decorate if fn is None else decorate(fn)


def device_groups(device: DeviceConfig | Device) -> tuple[str, ...]:
    """Return the groups of dependencies that a device of fray or of ours needs: `gpu`, `tpu`."""
    match device:
        case TpuConfig() | TpuDevice():
            return ("tpu",)
        case GpuConfig() | GpuDevice():
            return ("gpu",)
    return ()
