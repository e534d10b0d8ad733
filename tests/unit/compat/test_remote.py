"""Marin's `remote`: what it asks for by default, and what a device adds."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.compat import artifact_era_remote
from marin_build.compat.fray import artifact_era_resources
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.compat.remote import RemoteCallable, remote
from marin_build.compat.step_spec import StepSpec as MarinStepSpec
from marin_build.pipeline.resources import ResourceConfig as NativeResources
from marin_build.pipeline.step_spec import StepSpec
from marin_build.runtime.clients import set_current_client
from marin_build.runtime.local_client import LocalClient, LocalJob


class Listening(LocalClient):
    """Keeps what it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def submit(self, request: Any, adopt_existing: bool = True) -> LocalJob:
        self.requests.append(request)
        return super().submit(request, adopt_existing)


def test_a_function_without_resources_asks_for_what_fray_asks_for() -> None:
    wrapped = remote(print)
    assert isinstance(wrapped, RemoteCallable)
    assert wrapped.resources == ResourceConfig.with_cpu()


def test_each_era_has_its_own_default() -> None:
    """Else the newer one asks for too little disk."""
    kind: Any = artifact_era_resources.ResourceConfig
    one: Any = artifact_era_remote.remote(print)
    two: Any = artifact_era_remote.remote(resources=kind(cpu=2))(print)
    assert (one.resources, two.resources) == (kind.with_cpu(), kind(cpu=2))


def test_vllm_on_a_tpu_is_built_for_it() -> None:
    made = remote(print, resources=ResourceConfig.with_tpu("v6e-4"), pip_dependency_groups=["vllm"])
    assert made.env_vars == {"VLLM_TARGET_DEVICE": "tpu"}


@pytest.mark.parametrize(
    ("resources", "given", "groups"),
    [
        (ResourceConfig.with_gpu("H100", 8), None, ["gpu"]),
        (ResourceConfig.with_tpu("v5p-8"), None, ["tpu"]),
        (ResourceConfig.with_cpu(), None, []),
        (ResourceConfig.with_tpu("v5p-8"), [], []),
        (ResourceConfig.with_tpu("v5p-8"), ["eval", "vllm"], ["eval", "vllm"]),
    ],
)
def test_a_device_brings_its_packages_unless_others_are_named(
    resources: ResourceConfig, given: list[str] | None, groups: list[str]
) -> None:
    """Else a training on a TPU starts with the jax of a CPU."""
    client, ran = Listening(), []

    @remote(resources=resources, pip_dependency_groups=given, env_vars={"FRAY_TEST": "1"})
    def train() -> None:
        ran.append(1)

    with set_current_client(client):
        train()
    (request,) = client.requests
    assert (list(request.environment.extras), request.resources) == (groups, resources)
    assert (ran, request.environment.env_vars["FRAY_TEST"]) == ([1], "1")


def test_a_step_runs_where_its_function_does() -> None:
    resources = ResourceConfig.with_tpu("v6e-8", regions=["us-east5"])
    step = StepSpec("train", fn=remote(print, resources=resources))
    assert step.resources == resources.lowered_resources


@pytest.mark.parametrize(
    ("resources", "groups"),
    [
        (ResourceConfig.with_tpu("v5p-8"), ("tpu",)),
        (NativeResources.with_gpu("h100"), ("gpu",)),
        (NativeResources.with_cpu(), ()),
    ],
)
def test_a_step_of_marin_brings_the_packages_of_its_device(
    resources: Any, groups: tuple[str, ...]
) -> None:
    """Else the job of a training starts without jax for its chips."""
    made = MarinStepSpec("train", fn=print, resources=resources).executable_fn
    assert isinstance(made, RemoteCallable)
    assert tuple(made.pip_dependency_groups) == groups
