"""What of a step a cluster would refuse, or accept and never run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    LARGEST_INT32,
    LONGEST_WORD,
    image_problem,
    label_value_problem,
    variable_problem,
)
from marin_build.engines.kubernetes.names import LARGEST_GANG, MOST_SLICES
from marin_build.engines.kubernetes.pods import GPU_PRODUCTS, product_of
from marin_build.errors import UsageError
from marin_build.pipeline.resources import GpuDevice, ResourceConfig, TpuDevice
from marin_build.pipeline.retries import policy_of
from marin_build.plan.capacity import hosts_of
from marin_build.text.readable import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from marin_build.errors import MarinBuildError
    from marin_build.pipeline.step_spec import StepSpec

_SHOWN = 3


def problems_of_step(step: StepSpec, image: str | None) -> Iterator[MarinBuildError]:
    """Yield an error for each thing that keeps a step from running in a cluster.

    Args:
        step: a step to build.
        image: that of the configuration, already checked.

    """
    resources = step.resources or ResourceConfig()
    own = resources.image
    if own is None and image is None:
        yield UsageError(
            f"`{step.name}` has no image to run in",
            hint="set `image` in [tool.marin-build.kubernetes], or on the step's resources",
        )
    if own is not None and (problem := image_problem(own)):
        yield _error(step, f"the image `{own}` {problem}")
    yield from _placement_problems(step, resources)
    yield from _variable_problems(step, step.env_vars)
    if policy_of(step.retries).limit > LARGEST_INT32:
        yield _error(step, f"more than {LARGEST_INT32} tries are asked for")
    if hosts_of(step) > LARGEST_GANG:
        yield _error(step, f"more than {LARGEST_GANG} hosts are asked for")
    if isinstance(resources.device, TpuDevice) and resources.device.slice_count > MOST_SLICES:
        yield _error(step, f"more than {MOST_SLICES} slices are asked for")
    if (command := step.command_text) is not None:
        words = command if isinstance(command, tuple) else (command,)
        if max(len(word.encode()) for word in words) > LONGEST_WORD:
            what = f"a word of its command is longer than the {LONGEST_WORD} bytes Linux can start"
            yield _error(step, what, "put the text into a file, and declare it with source(...)")


def without_digest(steps: Iterable[StepSpec], image: str | None) -> list[str]:
    """Return a line for each image that is named by a tag: it may be another one tomorrow.

    Args:
        steps: the steps to build.
        image: that of steps which name none.

    """
    users: dict[str, list[str]] = {}
    for step in steps:
        own = step.resources.image if step.resources is not None else None
        used = own or image
        if used is not None and "@" not in used:
            users.setdefault(used, []).append(step.name)
    return [
        f"the image `{one}` of {_named(names)} may be another one when its pods start: "
        "name it by its digest, `...@sha256:...`"
        for one, names in users.items()
    ]


def _named(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _placement_problems(step: StepSpec, resources: ResourceConfig) -> Iterator[MarinBuildError]:
    """Yield what keeps every node from being the one that is asked for."""
    zone, regions = resources.zone, resources.regions or ()
    for what, place in (("zone", zone), *(("region", region) for region in regions)):
        if place is not None and (problem := label_value_problem(place)):
            yield _error(step, f"the {what} `{place}` {problem}")
    if zone is not None and regions and not set(resources.places).intersection((*regions, zone)):
        yield _error(
            step,
            f"the zone `{zone}` is in none of its regions {', '.join(regions)}",
            "no node is in both: give the zone, or the regions",
        )
    if isinstance(resources.device, TpuDevice) and not resources.device.slice.gke_accelerator:
        yield _error(step, f"GKE has no machine for the slice `{resources.device.type}`")
    if isinstance(resources.device, GpuDevice):
        kind = resources.device.type
        product = product_of(kind)
        if problem := label_value_problem(product):
            yield _error(step, f"the GPU `{kind}` {problem}")
        elif not product.startswith("nvidia-"):
            near = did_you_mean(kind, GPU_PRODUCTS)
            yield _error(
                step,
                f"the GPU `{kind}` is unknown: no node would have it",
                f"{near or 'known are ' + ', '.join(GPU_PRODUCTS) + '.'} Others are named as nodes "
                "are labelled, `nvidia-...`: kubectl get nodes -L cloud.google.com/gke-accelerator",
            )


def _variable_problems(step: StepSpec, env_vars: Mapping[str, str]) -> Iterator[MarinBuildError]:
    for name, value in env_vars.items():
        if problem := variable_problem(name):
            yield _error(step, f"the environment variable `{name}` {problem}")
        elif len(f"{name}={value}".encode()) > LONGEST_WORD:
            what = f"the environment variable `{name}` is longer than {LONGEST_WORD} bytes"
            yield _error(step, what, "put the text into a file, and declare it with source(...)")


def _error(step: StepSpec, what: str, hint: str | None = None) -> UsageError:
    return UsageError(f"`{step.name}`: {what}", facts=[("declared", step.place)], hint=hint)
