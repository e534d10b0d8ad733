"""What a cluster takes, and never runs as it is meant: only we can say so."""

from __future__ import annotations

import math
from typing import Any

import pytest

from marin_build import ResourceConfig
from marin_build.engines.kubernetes.object_checks import unrunnable, violations
from marin_build.engines.kubernetes.read_manifests import read_manifests
from marin_build.errors import UsageError
from marin_build.pipeline.tpu_slices import TpuSlice, slice_table

from .sample_objects import changed, emitted, manifest_of, step

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
SELECTOR = f"{POD}.nodeSelector"
ACCELERATOR = "cloud.google.com/gke-tpu-accelerator"
TOPOLOGY = "cloud.google.com/gke-tpu-topology"
MACHINE = "node.kubernetes.io/instance-type"
PATTERNS = "spec.failurePolicy.rules[0].onJobFailureMessagePatterns"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """A Job without an accelerator."""
    return manifest_of(step(ResourceConfig.with_cpu()))


@pytest.fixture(scope="module")
def gang() -> dict[str, Any]:
    """A JobSet of one slice, 2x2x2."""
    return manifest_of(step(ResourceConfig.with_tpu("v5p-16")))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({f"{MAIN}.image": "UPPER//@@"}, f"{MAIN}.image"),
        ({f"{MAIN}.image": " python:3.12"}, f"{MAIN}.image"),
        ({f"{MAIN}.workingDir": "src"}, f"{MAIN}.workingDir"),
        ({f"{MAIN}.env[4]": {"name": "NUMBER", "value": "1"}}, f"{MAIN}.env[4].name"),
        ({"spec.activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds"),
        ({"spec.parallelism": 0}, "spec.parallelism"),
        ({"spec.completions": 0}, "spec.completions"),
        ({f"{POD}.terminationGracePeriodSeconds": -1}, f"{POD}.terminationGracePeriodSeconds"),
    ],
)
def test_a_job_that_could_not_run_is_found(
    job: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    """Else a pod that never starts is waited for until the deadline, a week later."""
    wrong = changed(job, changes)
    assert violations(wrong) == []
    assert [(one.status, one.field) for one in unrunnable(wrong)] == [(201, field)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"spec.failurePolicy.maxRestarts": -1}, "spec.failurePolicy.maxRestarts"),
        ({PATTERNS: ["ok", "("]}, f"{PATTERNS}[1]"),
        ({PATTERNS: ["(?=exit)"]}, f"{PATTERNS}[0]"),
        ({PATTERNS: [r"(a)\1"]}, f"{PATTERNS}[0]"),
        ({"spec.replicatedJobs[0].replicas": 0}, "spec.replicatedJobs[0].replicas"),
        ({f"spec.replicatedJobs[0].template.{MAIN}.image": "A"},
         f"spec.replicatedJobs[0].template.{MAIN}.image"),
    ],
)  # fmt: skip
def test_a_gang_that_could_not_run_is_found(
    gang: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    """Else a gang restarts for ever, or never begins."""
    wrong = changed(gang, changes)
    assert [(one.status, one.field) for one in unrunnable(wrong)] == [(201, field)]


def test_patterns_that_only_re2_knows_are_taken(gang: dict[str, Any]) -> None:
    """Else a rule that is right cannot be used."""
    assert unrunnable(changed(gang, {PATTERNS: [r"\pL+\z", r"a\\1", r"(?P<code>\d+)"]})) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"spec.parallelism": 4}, "spec.parallelism"),
        ({f"{MAIN}.resources.limits[google.com/tpu]": "8"}, f"{MAIN}.resources.limits"),
        ({f"{MAIN}.resources.limits[google.com/tpu]": ...}, f"{MAIN}.resources.limits"),
        ({f"{SELECTOR}[{TOPOLOGY}]": "2x2x3"}, SELECTOR),
        ({f"{SELECTOR}[{TOPOLOGY}]": "2x4"}, SELECTOR),
        ({f"{SELECTOR}[{TOPOLOGY}]": "4x4x4"}, "spec.parallelism"),
        ({f"{SELECTOR}[{TOPOLOGY}]": ...}, SELECTOR),
        ({f"{SELECTOR}[{ACCELERATOR}]": ...}, SELECTOR),
        ({f"{SELECTOR}[{ACCELERATOR}]": "tpu-v5-lite-podslice"}, SELECTOR),
        ({f"{SELECTOR}[{MACHINE}]": "ct4p-hightpu-4t"}, SELECTOR),
    ],
)
def test_pods_that_are_no_slice_are_found(
    gang: dict[str, Any], changes: dict[str, Any], field: str
) -> None:
    """Else the pods wait for ever for nodes that no pool has."""
    prefix = "spec.replicatedJobs[0].template"
    wrong = changed(gang, {f"{prefix}.{path}": value for path, value in changes.items()})
    assert violations(wrong) == []
    assert [one.field for one in unrunnable(wrong)] == [f"{prefix}.{field}"]


def test_tpus_that_the_table_does_not_know_are_left_to_the_cluster(gang: dict[str, Any]) -> None:
    """Else nobody can use a new TPU with a template of their own."""
    selector = f"spec.replicatedJobs[0].template.{SELECTOR}"
    new = {f"{selector}[{ACCELERATOR}]": "tpu9", f"{selector}[{TOPOLOGY}]": "2x2x2x2"}
    assert unrunnable(changed(gang, new)) == []
    assert unrunnable(changed(gang, {selector: {MACHINE: "ct5p-hightpu-4t"}})) == []


def test_slices_of_the_users_own_are_known(gang: dict[str, Any]) -> None:
    """Else a topology that the table lacks can be declared, and is then refused."""
    mine = TpuSlice("v5p-24", "v5p", "2x2x3", 3, 4, "tpu-v5p-slice", "ct5p-hightpu-4t")
    files = emitted(step(ResourceConfig.with_tpu(mine)))
    (manifest,) = read_manifests(next(text for name, text in files.items() if "job.yaml" in name))
    assert manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["parallelism"] == 3
    assert unrunnable(manifest, frozenset({mine})) == []
    assert len(unrunnable(manifest)) == 1


def test_a_slice_that_gke_does_not_have_is_refused() -> None:
    """Else its pods wait for nodes without a label."""
    with pytest.raises(UsageError, match="GKE has no machine for the slice `v5litepod-2`"):
        emitted(step(ResourceConfig.with_tpu("v5e-2")))


def test_the_chips_of_several_containers_are_counted_together(gang: dict[str, Any]) -> None:
    """Else a host whose chips two containers share cannot be used."""
    main = f"spec.replicatedJobs[0].template.{POD}.containers"
    half = changed(gang, {f"{main}[0].resources.limits[google.com/tpu]": "2"})
    other = {"name": "other", "image": "a:1", "resources": {"limits": {"google.com/tpu": 2}}}
    assert unrunnable(changed(half, {f"{main}[1]": other})) == []


def _shapes() -> list[TpuSlice]:
    return list(dict.fromkeys(shape for shapes in slice_table().values() for shape in shapes))


def test_every_slice_of_the_table_is_a_gang_that_a_cluster_can_run() -> None:
    """Else a step waits for a node pool that cannot exist, or a slice has idle chips."""
    wanted = {
        f"s{i}": (shape, count)
        for i, (shape, count) in enumerate(
            (shape, count) for shape in _shapes() if shape.gke_accelerator for count in (1, 4)
        )
    }
    files = emitted(
        *(
            step(ResourceConfig.with_tpu(shape.name, count, hosts=shape.hosts), name)
            for name, (shape, count) in wanted.items()
        )
    )
    # Rendering has held each of them against the rules and the table.
    found = [
        document
        for name, text in files.items()
        if name.endswith("job.yaml")
        for document in read_manifests(text)
    ]
    assert len(found) == len(wanted)
    for document in found:
        shape, count = wanted[document["metadata"]["annotations"]["marin-build/step"]]
        replicas, spec = 1, document["spec"]
        if document["kind"] == "JobSet":
            (job,) = spec["replicatedJobs"]
            replicas, spec = job["replicas"], job["template"]["spec"]
        pod = spec["template"]["spec"]
        chips = int(pod["containers"][0]["resources"]["limits"]["google.com/tpu"])
        selector = pod["nodeSelector"]
        assert replicas == count
        assert chips * spec.get("parallelism", 1) == math.prod(map(int, shape.topology.split("x")))
        assert (selector[ACCELERATOR], selector[TOPOLOGY], chips) == (
            shape.gke_accelerator,
            shape.topology,
            int(shape.machine_type.rpartition("-")[2].removesuffix("t")),
        )
