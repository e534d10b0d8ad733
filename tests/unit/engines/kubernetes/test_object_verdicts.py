"""Our verdict on a Job is that of a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from marin_build import ResourceConfig
from marin_build.engines.kubernetes.object_checks import violations

from .sample_objects import changed, manifest_of, step

TABLE = Path(__file__).parents[3] / "data/kubernetes_verdicts.tsv"
POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
RULE = "spec.podFailurePolicy.rules[2]"
TPU = "google.com/tpu"
EXITS = {"containerName": "main", "operator": "In", "values": [3]}
ANOTHER = {"action": "FailJob", "onExitCodes": EXITS}
SELECTOR = {"cloud.google.com/gke-spot": "true"}


def _codes(*values: int, **others: Any) -> dict[str, Any]:
    return {RULE: {"action": "FailJob", "onExitCodes": {**EXITS, "values": [*values], **others}}}


def _amounts(**kinds: dict[str, Any]) -> dict[str, Any]:
    """Return changes of requests and limits that leave the others as they are."""
    return {
        f"{MAIN}.resources.{kind}[{name}]": amount
        for kind, amounts in kinds.items()
        for name, amount in amounts.items()
    }


CASES: dict[str, dict[str, Any]] = {
    "ok": {},
    "name_upper": {"metadata.name": "Train"},
    "name_64": {"metadata.name": "x" * 64},
    "name_underscore": {"metadata.name": "a_b"},
    "label_value_bad": {"metadata.labels[marin-build/plan]": "a b"},
    "label_key_bad": {"metadata.labels[a b]": "x"},
    "restart_Always": {f"{POD}.restartPolicy": "Always"},
    "restart_OnFailure_with_pfp": {f"{POD}.restartPolicy": "OnFailure"},
    "enum_action": {"spec.podFailurePolicy.rules[0].action": "Retry"},
    "enum_imagepull": {f"{MAIN}.imagePullPolicy": "Sometimes"},
    "enum_completionMode": {"spec.completionMode": "indexed"},
    "indexed_no_completions": {"spec.completionMode": "Indexed"},
    "exit_codes_0": _codes(0),
    "exit_codes_unsorted": _codes(3, 2),
    "exit_codes_dup": _codes(3, 3),
    "exit_codes_unknown_container": _codes(3, containerName="other"),
    "rule_both": {RULE: {**ANOTHER, "onPodConditions": [{"type": "Ready", "status": "True"}]}},
    "rules_21": {"spec.podFailurePolicy.rules": [ANOTHER] * 21},
    "replacement_with_pfp": {"spec.podReplacementPolicy": "TerminatingOrFailed"},
    "quantity_bad": _amounts(requests={"memory": "4 Gi"}),
    "quantity_MB": _amounts(requests={"memory": "4MB"}),
    "request_gt_limit": _amounts(requests={"memory": "8Gi"}),
    "cpu_negative": _amounts(requests={"cpu": "-1"}),
    "tpu_fraction": _amounts(limits={TPU: "0.5"}),
    "tpu_request_ne_limit": _amounts(requests={TPU: "2"}, limits={TPU: "4"}),
    "tpu_request_only": _amounts(requests={TPU: "4"}),
    "env_number": {f"{MAIN}.env[4]": {"name": "N", "value": 32}},
    "env_name_bad": {f"{MAIN}.env[4]": {"name": "A=B", "value": "x"}},
    "env_name_dash": {f"{MAIN}.env[4]": {"name": "a-b", "value": "x"}},
    "env_dup": {f"{MAIN}.env[4]": {"name": "NUMBER", "value": "x"}},
    "env_both": {
        f"{MAIN}.env[4]": {
            "name": "N", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}
        }
    },
    "fieldpath_bad": {
        f"{MAIN}.env[4]": {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nme"}}}
    },
    "unknown_field": {f"{POD}.restartpolicy": "Never"},
    "toleration_op": {f"{POD}.tolerations[0].operator": "Equals"},
    "toleration_exists_value": {f"{POD}.tolerations[0].operator": "Exists"},
    "nodeselector_bool": {f"{POD}.nodeSelector[cloud.google.com/gke-spot]": True},
    "nodeselector_value_bad": {f"{POD}.nodeSelector[cloud.google.com/gke-spot]": "a b"},
    "image_empty": {f"{MAIN}.image": ""},
    "image_space": {f"{MAIN}.image": " python:3.12"},
    "image_junk": {f"{MAIN}.image": "UPPER//@@"},
    "backoff_negative": {"spec.backoffLimit": -1},
    "deadline_zero": {"spec.activeDeadlineSeconds": 0},
    "perindex_nonindexed": {"spec.backoffLimitPerIndex": 1},
    "annotations_big": {"metadata.annotations[x]": "x" * (256 * 1024)},
    "object_1_6MiB": {f"{MAIN}.args": ["x" * 1_677_722]},
    "volume_missing": {f"{MAIN}.volumeMounts": [{"name": "data", "mountPath": "/data"}]},
    "namespace_missing": {"metadata.namespace": "nowhere"},
    "dup_container": {f"{POD}.containers[1]": {"name": "main", "image": "python:3.12"}},
    "workdir_relative": {f"{MAIN}.workingDir": "src"},
    "sa_bad": {f"{POD}.serviceAccountName": "Build_er"},
    "secret_name_bad": {f"{MAIN}.envFrom[0].secretRef.name": "Hub_Token"},
    "terminationgrace_neg": {f"{POD}.terminationGracePeriodSeconds": -1},
    "ttl_neg": {"spec.ttlSecondsAfterFinished": -1},
    "success_policy_nonindexed": {"spec.successPolicy": {"rules": [{"succeededCount": 1}]}},
}  # fmt: skip


def _rows() -> list[tuple[str, str, str]]:
    lines = [line for line in TABLE.read_text().splitlines() if not line.startswith("#")]
    return [tuple(line.split("\t")[:3]) for line in lines]  # type: ignore[misc]


CHILD = "spec.replicatedJobs[0].template.spec"
OF_CHILDREN = [
    row
    for row in _rows()
    if all(path.startswith("spec.") for path in CASES[row[0]])
    and not row[0].endswith("_nonindexed")  # those of a JobSet have indexes
]


@pytest.fixture(scope="module")
def sample() -> dict[str, Any]:
    """A Job as we write it: two rules, four variables, spot nodes, a Secret."""
    return manifest_of(step(ResourceConfig.with_cpu()))


@pytest.mark.parametrize(("case", "server", "field"), _rows(), ids=lambda value: value or "-")
def test_the_verdict_is_that_of_a_server(
    sample: dict[str, Any], case: str, server: str, field: str
) -> None:
    """Else a plan is written that a cluster refuses, or one is refused that it would run."""
    found = violations(changed(sample, CASES[case]), {"default", "research"})
    if server == "accepted":
        assert found == []
        return
    assert found[0].status == int(server)
    if field:
        assert {one.field for one in found} == {field}
    else:  # the answer names none
        assert len(found) == 1


@pytest.mark.parametrize(("case", "server", "field"), OF_CHILDREN, ids=lambda value: value or "-")
def test_so_is_that_on_the_jobs_of_a_jobset(
    sample: dict[str, Any], case: str, server: str, field: str
) -> None:
    """Else a cluster takes a gang, makes no Job of it, and says nothing."""
    gang = manifest_of(step(ResourceConfig(replicas=2)))
    sent = {"completions": 2, "parallelism": 2, **sample["spec"]}
    sent.pop("ttlSecondsAfterFinished")
    changes = {path.replace("spec", CHILD, 1): value for path, value in CASES[case].items()}
    found = violations(changed(changed(gang, {CHILD: sent}), changes))
    if server == "accepted":
        assert found == []
        return
    assert {one.status for one in found} == {400 if server == "400" else 201}
    if field:
        assert {one.field for one in found} == {field.replace("spec", CHILD, 1)}


def test_every_row_has_its_case() -> None:
    """Else a row is passed over."""
    assert set(CASES) == {case for case, _, _ in _rows()}
