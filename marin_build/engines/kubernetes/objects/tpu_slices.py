"""The rules for TPUs on GKE: a Job has a pod for each host of a slice, with all its chips.

Facts: the table of slices; a node with TPUs takes one pod, which asks for all of its chips.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.objects.quantities import quantity_of
from marin_build.engines.kubernetes.objects.violation import ACCEPTED, Violation, shown
from marin_build.pipeline.tpu_slices import TpuSlice, slice_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields

TPU = "google.com/tpu"
ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY = "cloud.google.com/gke-tpu-topology"
MACHINE = "node.kubernetes.io/instance-type"


def tpu_violations(
    spec: Fields, path: str, slices: frozenset[TpuSlice] = frozenset()
) -> Iterator[Violation]:
    """Yield why the pods of a Job are no slice that there is: they would wait for ever.

    A kind of TPU that is not in the table is left to the cluster.

    Args:
        spec: the spec of a Job.
        path: of it.
        slices: the user's own, which are not in the table.

    """
    pod, here = spec.get("template", {}).get("spec", {}), f"{path}.template.spec"
    selector = pod.get("nodeSelector", {})
    accelerator, topology = selector.get(ACCELERATOR), selector.get(TOPOLOGY)
    chips = _chips_of(pod)
    if accelerator is None and topology is None:
        return  # affinity may choose the nodes
    if accelerator is None or topology is None:
        missing = ACCELERATOR if accelerator is None else TOPOLOGY
        yield Violation(f"{here}.nodeSelector", f"lacks `{missing}`", ACCEPTED)
        return
    topologies = _known(slices).get(accelerator)
    if topologies is None:
        return
    shapes = topologies.get(topology, [])
    if not shapes:
        what = f"{shown(topology)} is no topology of `{accelerator}`"
        yield Violation(f"{here}.nodeSelector", what, ACCEPTED)
        return
    fitting = [shape for shape in shapes if shape.chips_per_host == chips]
    if not fitting:
        hosts = " or ".join(map(str, sorted({shape.chips_per_host for shape in shapes})))
        what = f"a pod asks for {chips:g} `{TPU}`; hosts of {topology} have {hosts}"
        yield Violation(f"{here}.containers[0].resources.limits", what, ACCEPTED)
        return
    pods = spec.get("parallelism", 1)
    if pods not in {shape.hosts for shape in fitting}:
        what = f"{shown(pods)} pods of {chips:g} chips are no {topology}: {fitting[0].hosts} are"
        yield Violation(f"{path}.parallelism", what, ACCEPTED)
    machine = selector.get(MACHINE)
    if machine is not None and machine not in {shape.machine_type for shape in fitting}:
        what = f"{shown(machine)} is not `{fitting[0].machine_type}`, which {topology} is made of"
        yield Violation(f"{here}.nodeSelector", what, ACCEPTED)


def _chips_of(pod: Fields) -> int:
    """Return the chips that the containers of a pod ask for together."""
    amounts = [
        quantity_of(container.get("resources", {}).get("limits", {}).get(TPU, "0"))
        for container in pod.get("containers", [])
    ]
    return int(sum(amount for amount in amounts if amount is not None))


@functools.cache
def _known(slices: frozenset[TpuSlice]) -> dict[str, dict[str, list[TpuSlice]]]:
    """Return what GKE calls a kind of TPU -> topology -> the shapes that it has."""
    found: dict[str, dict[str, list[TpuSlice]]] = {}
    table = (shape for shapes in slice_table().values() for shape in shapes)
    for shape in dict.fromkeys((*table, *slices)):  # a row may have several names
        found.setdefault(shape.gke_accelerator, {}).setdefault(shape.topology, []).append(shape)
    return found
