"""Rules of an API server beside those that a real one was asked about: each kind, other values."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import ResourceConfig
from marin_build.engines.kubernetes.object_checks import unrunnable, violations

from .sample_objects import changed, manifest_of, parts, step

POD = "spec.template.spec"
MAIN = f"{POD}.containers[0]"
RULES = "spec.podFailurePolicy.rules"
TERMS = f"{POD}.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"
AMOUNTS = f"{MAIN}.resources"
INDEXED = {"spec.completionMode": "Indexed", "spec.completions": 10, "spec.parallelism": 2}
CHILD = "spec.replicatedJobs[0].template.spec"


def _volume(**volume: Any) -> dict[str, Any]:
    return {f"{POD}.volumes": [{"name": "data", **volume}]}


def _mount(**mount: Any) -> dict[str, Any]:
    mounts = [{"name": "data", "mountPath": "/data", **mount}]
    return {**_volume(emptyDir={}), f"{MAIN}.volumeMounts": mounts}


def _from(**source: Any) -> dict[str, Any]:
    return {f"{MAIN}.env[4]": {"name": "N", "valueFrom": source}}


def _field(path: str) -> dict[str, Any]:
    return _from(fieldRef={"fieldPath": path})


def _port(**port: Any) -> dict[str, Any]:
    return {f"{MAIN}.ports": [{"containerPort": 80, **port}]}


def _expression(**rule: Any) -> dict[str, Any]:
    return {f"{TERMS}.nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", **rule}]}]}


def _success(**rule: Any) -> dict[str, Any]:
    return {**INDEXED, "spec.successPolicy": {"rules": [rule]}}


def _exits(**codes: Any) -> dict[str, Any]:
    rule = {"operator": "In", "values": [3], **codes}
    return {f"{RULES}[2]": {"action": "FailJob", "onExitCodes": rule}}


SOURCE = f"{MAIN}.env[4].valueFrom"
REFUSED: list[tuple[dict[str, Any], str]] = [
    # names
    ({"metadata.name": ...}, "metadata.name"),
    ({"metadata.name": ""}, "metadata.name"),
    ({"metadata.name": "a..b"}, "metadata.name"),
    ({"metadata.name": "a\n"}, "metadata.name spec.template.labels"),
    ({"metadata.name": "a" * 254}, "metadata.name spec.template.labels"),
    ({"metadata.namespace": "a.b"}, "metadata.namespace"),
    ({"metadata.labels[/x]": "x"}, "metadata.labels"),
    ({"metadata.labels[A.B/x]": "x"}, "metadata.labels"),
    ({"metadata.labels[a/b/c]": "x"}, "metadata.labels"),
    ({"metadata.labels[x]": "y" * 64}, "metadata.labels"),
    ({"metadata.annotations[-x]": "any\ntext"}, "metadata.annotations"),
    ({"spec.template.metadata.labels[x]": "-"}, "spec.template.labels"),
    ({"spec.template.metadata.annotations[a b]": "x"}, "spec.template.annotations"),
    # numbers, words, completions
    ({"spec.parallelism": -1}, "spec.parallelism"),
    ({"spec.completions": -1}, "spec.completions"),
    ({"spec.activeDeadlineSeconds": -1}, "spec.activeDeadlineSeconds"),
    ({"spec.managedBy": "kueue"}, "spec.managedBy"),
    ({"spec.selector": {"matchLabels": {"a": "b"}}}, "spec.selector"),
    ({"spec.manualSelector": True}, "spec.selector"),
    ({"spec.completionMode": "Indexed", "spec.parallelism": 2}, "spec.completions"),
    ({**INDEXED, "spec.parallelism": 100_001}, "spec.parallelism"),
    ({**INDEXED, "metadata.name": "x" * 62}, "metadata.name"),
    ({**INDEXED, "spec.maxFailedIndexes": 1}, "spec.backoffLimitPerIndex"),
    ({**INDEXED, "spec.maxFailedIndexes": 11, "spec.backoffLimitPerIndex": 1},
     "spec.maxFailedIndexes"),
    ({**INDEXED, "spec.completions": 100_001, "spec.backoffLimitPerIndex": 1},
     "spec.maxFailedIndexes"),
    ({"spec.maxFailedIndexes": 1, "spec.backoffLimitPerIndex": 1},
     "spec.backoffLimitPerIndex spec.maxFailedIndexes"),
    ({f"{POD}.restartPolicy": ...}, f"{POD}.restartPolicy"),
    ({f"{POD}.restartPolicy": "never"}, f"{POD}.restartPolicy"),
    ({"spec.podFailurePolicy": ..., "spec.podReplacementPolicy": "Never"},
     "spec.podReplacementPolicy"),
    ({"spec.completionMode": "indexed", "spec.backoffLimitPerIndex": 1}, "spec.completionMode"),
    # rules of failures and of success
    ({f"{RULES}[0].action": ""}, f"{RULES}[0].action"),
    ({f"{RULES}[0].action": ...}, f"{RULES}[0].action"),
    ({f"{RULES}[0].action": "FailIndex"}, f"{RULES}[0].action"),
    ({f"{RULES}[0].onPodConditions": ...}, f"{RULES}[0]"),
    ({f"{RULES}[0].onPodConditions[0].status": "true"}, f"{RULES}[0].onPodConditions[0].status"),
    ({f"{RULES}[0].onPodConditions[0].type": "a b"}, f"{RULES}[0].onPodConditions[0].type"),
    (_exits(values=[]), f"{RULES}[2].onExitCodes.values"),
    (_exits(values=[*range(1, 257)]), f"{RULES}[2].onExitCodes.values"),
    (_exits(operator="in"), f"{RULES}[2].onExitCodes.operator"),
    (_success(), "spec.successPolicy.rules[0]"),
    (_success(succeededCount=-1), "spec.successPolicy.rules[0].succeededCount"),
    (_success(succeededCount=11), "spec.successPolicy.rules[0].succeededCount"),
    (_success(succeededIndexes="0,10"), "spec.successPolicy.rules[0].succeededIndexes"),
    (_success(succeededIndexes="3,1"), "spec.successPolicy.rules[0].succeededIndexes"),
    (_success(succeededIndexes="1-"), "spec.successPolicy.rules[0].succeededIndexes"),
    (_success(succeededIndexes="1,3", succeededCount=3),
     "spec.successPolicy.rules[0].succeededCount"),
    # pods
    ({f"{POD}.containers": []}, f"{POD}.containers {RULES}[1].onExitCodes.containerName"),
    ({f"{POD}.dnsPolicy": "Cluster"}, f"{POD}.dnsPolicy"),
    ({f"{POD}.dnsPolicy": "None"}, f"{POD}.dnsConfig.nameservers"),
    ({f"{POD}.preemptionPolicy": "Always"}, f"{POD}.preemptionPolicy"),
    ({f"{POD}.activeDeadlineSeconds": 0}, f"{POD}.activeDeadlineSeconds"),
    ({f"{POD}.hostname": "a.b"}, f"{POD}.hostname"),
    ({f"{POD}.priorityClassName": "High"}, f"{POD}.priorityClassName"),
    ({f"{POD}.nodeSelector[a b]": "x"}, f"{POD}.nodeSelector"),
    ({f"{POD}.tolerations[0].effect": "NoRun"}, f"{POD}.tolerations[0].effect"),
    ({f"{POD}.tolerations[0].key": ""}, f"{POD}.tolerations[0].operator"),
    ({f"{POD}.tolerations[0].key": "a b"}, f"{POD}.tolerations[0].key"),
    ({f"{POD}.tolerations[0].tolerationSeconds": 5}, f"{POD}.tolerations[0].effect"),
    ({f"{POD}.tolerations[0].value": "a b"}, f"{POD}.tolerations[0].operator"),
    ({f"{POD}.ephemeralContainers": [{"name": "x", "image": "y"}]}, f"{POD}.ephemeralContainers"),
    ({f"{POD}.initContainers": [{"name": "main", "image": "y"}]}, f"{POD}.initContainers[0].name"),
    ({f"{POD}.hostAliases": [{"ip": "localhost"}]}, f"{POD}.hostAliases[0].ip"),
    ({f"{POD}.securityContext": {"runAsUser": -1}}, f"{POD}.securityContext.runAsUser"),
    # affinity
    ({f"{TERMS}.nodeSelectorTerms": []}, f"{TERMS}.nodeSelectorTerms"),
    (_expression(operator="in", values=["a"]),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].operator"),
    (_expression(operator="In", values=[]),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].values"),
    (_expression(operator="NotIn", values=["a", "b c"]),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].values[1]"),
    (_expression(operator="Exists", values=["a"]),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].values"),
    (_expression(operator="Gt", values=["1", "2"]),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].values"),
    (_expression(operator="Exists", key="a b"),
     f"{TERMS}.nodeSelectorTerms[0].matchExpressions[0].key"),
    # containers
    ({f"{MAIN}.name": "Main"}, f"{MAIN}.name {RULES}[1].onExitCodes.containerName"),
    ({f"{MAIN}.image": ...}, f"{MAIN}.image"),
    ({f"{MAIN}.terminationMessagePolicy": "Log"}, f"{MAIN}.terminationMessagePolicy"),
    (_port(containerPort=0), f"{MAIN}.ports[0].containerPort"),
    (_port(containerPort=65536), f"{MAIN}.ports[0].containerPort"),
    (_port(protocol="HTTP"), f"{MAIN}.ports[0].protocol"),
    (_port(name="UPPER"), f"{MAIN}.ports[0].name"),
    (_port(name="1234"), f"{MAIN}.ports[0].name"),
    (_port(name="a" * 16), f"{MAIN}.ports[0].name"),
    (_port(hostPort=70000), f"{MAIN}.ports[0].hostPort"),
    ({**_port(hostPort=81), f"{POD}.hostNetwork": True}, f"{MAIN}.ports[0].containerPort"),
    (_port(hostIP="here"), f"{MAIN}.ports[0].hostIP"),
    ({f"{MAIN}.env[4]": {"name": "", "value": "x"}}, f"{MAIN}.env[4].name"),
    ({f"{MAIN}.env[4]": {"name": "\u00e9", "value": "x"}}, f"{MAIN}.env[4].name"),
    (_from(), SOURCE),
    (_from(fieldRef={"fieldPath": "metadata.uid"}, secretKeyRef={"name": "a", "key": "b"}), SOURCE),
    (_field("spec.hostname"), f"{SOURCE}.fieldRef.fieldPath"),
    (_field("metadata.labels"), f"{SOURCE}.fieldRef.fieldPath"),
    (_field("metadata.labels['a b']"), f"{SOURCE}.fieldRef.fieldPath"),
    (_field(""), f"{SOURCE}.fieldRef.fieldPath"),
    (_from(secretKeyRef={"name": "a", "key": "a/b"}), f"{SOURCE}.secretKeyRef.key"),
    (_from(configMapKeyRef={"name": "a", "key": ""}), f"{SOURCE}.configMapKeyRef.key"),
    (_from(resourceFieldRef={"resource": "limits.gpu"}), f"{SOURCE}.resourceFieldRef.resource"),
    (_from(resourceFieldRef={"resource": "limits.cpu", "divisor": "2"}),
     f"{SOURCE}.resourceFieldRef.divisor"),
    ({f"{MAIN}.envFrom[0]": {}}, f"{MAIN}.envFrom[0]"),
    ({f"{MAIN}.envFrom[0].configMapRef": {"name": "a"}}, f"{MAIN}.envFrom[0]"),
    ({f"{MAIN}.envFrom[0].prefix": "a="}, f"{MAIN}.envFrom[0].prefix"),
    ({f"{MAIN}.envFrom[0].secretRef": {}}, f"{MAIN}.envFrom[0].secretRef.name"),
    # resources
    ({f"{AMOUNTS}.requests[ephemeral-storage]": "-1Gi"},
     f"{AMOUNTS}.requests[ephemeral-storage]"),
    ({f"{AMOUNTS}.requests[gpu]": "1", f"{AMOUNTS}.limits[gpu]": "1"},
     f"{AMOUNTS}.limits[gpu] {AMOUNTS}.requests[gpu]"),
    ({f"{AMOUNTS}.limits[nvidia.com/gpu]": "1500m"}, f"{AMOUNTS}.limits[nvidia.com/gpu]"),
    ({f"{AMOUNTS}.limits[a b/gpu]": "1"}, f"{AMOUNTS}.limits[a b/gpu]"),
    ({f"{AMOUNTS}.limits[cpu]": "500m"}, f"{AMOUNTS}.requests"),
    # volumes
    (_volume(emptyDir={}, configMap={"name": "a"}), f"{POD}.volumes[0].configMap"),
    (_volume(secret={}), f"{POD}.volumes[0].secret.secretName"),
    (_volume(secret={"secretName": "a", "defaultMode": 512}),
     f"{POD}.volumes[0].secret.defaultMode"),
    (_volume(configMap={"name": "a", "items": [{"key": "k", "path": "../x"}]}),
     f"{POD}.volumes[0].configMap.items[0].path"),
    (_volume(hostPath={"path": "/x", "type": "Folder"}), f"{POD}.volumes[0].hostPath.type"),
    (_volume(emptyDir={"sizeLimit": "-1"}), f"{POD}.volumes[0].emptyDir.sizeLimit"),
    (_volume(downwardAPI={"items": [{"path": "x"}]}), f"{POD}.volumes[0].downwardAPI.items[0]"),
    (_volume(persistentVolumeClaim={"claimName": ""}),
     f"{POD}.volumes[0].persistentVolumeClaim.claimName"),
    ({f"{POD}.volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]},
     f"{POD}.volumes[1].name"),
    ({f"{POD}.volumes": [{"name": "A", "emptyDir": {}}]}, f"{POD}.volumes[0].name"),
    (_mount(mountPath=""), f"{MAIN}.volumeMounts[0].mountPath"),
    (_mount(subPath="../x"), f"{MAIN}.volumeMounts[0].subPath"),
    (_mount(subPath="x", subPathExpr="y"), f"{MAIN}.volumeMounts[0].subPathExpr"),
    (_mount(mountPropagation="Both"), f"{MAIN}.volumeMounts[0].mountPropagation"),
    (_mount(mountPropagation="Bidirectional"), f"{MAIN}.volumeMounts[0].mountPropagation"),
]  # fmt: skip
UNREADABLE: list[tuple[dict[str, Any], str]] = [
    ({"spec.Template": {}}, "spec.Template"),
    ({"spec.backoffLimit": "2"}, "spec.backoffLimit"),
    ({"spec.backoffLimit": 2.5}, "spec.backoffLimit"),
    ({"spec.backoffLimit": True}, "spec.backoffLimit"),
    ({"spec.backoffLimit": 1 << 31}, "spec.backoffLimit"),
    ({"spec.activeDeadlineSeconds": 1 << 63}, "spec.activeDeadlineSeconds"),
    ({f"{RULES}[0].onPodConditions[0].status": True}, f"{RULES}[0].onPodConditions[0].status"),
    ({f"{MAIN}.command[0]": 1}, f"{MAIN}.command[0]"),
    ({f"{MAIN}.command": "a b"}, f"{MAIN}.command"),
    ({"metadata.labels[x]": 1}, "metadata.labels.x"),
    ({f"{AMOUNTS}.limits[memory]": True}, f"{AMOUNTS}.limits.memory"),
    ({f"{AMOUNTS}.limits[memory]": "1e"}, f"{AMOUNTS}.limits[memory]"),
    ({f"{AMOUNTS}.limits[memory]": ""}, f"{AMOUNTS}.limits[memory]"),
    ({f"{AMOUNTS}.limits[memory]": "1ki"}, f"{AMOUNTS}.limits[memory]"),
    ({f"{AMOUNTS}.limits[memory]": "1K"}, f"{AMOUNTS}.limits[memory]"),
    ({f"{AMOUNTS}.limits[memory]": "4 GiB"}, f"{AMOUNTS}.limits[memory]"),
    (_volume(emptyDir={"sizeLimit": "4GB"}), f"{POD}.volumes[0].emptyDir.sizeLimit"),
]
ACCEPTED: list[dict[str, Any]] = [
    {"metadata.name": "a.b-c"},
    {"metadata.name": "9" * 63},
    {"metadata.labels[A.b_c]": ""},
    {"metadata.labels[example.com/X]": "y" * 63},
    {"metadata.annotations[Example.com/x]": "any text\n"},
    {"spec.suspend": True},
    {"spec.managedBy": "kueue.x-k8s.io/multikueue"},
    {"spec.podReplacementPolicy": ...},
    {"spec.podFailurePolicy": ..., "spec.podReplacementPolicy": "TerminatingOrFailed",
     f"{POD}.restartPolicy": "OnFailure"},
    INDEXED,
    {**INDEXED, "spec.backoffLimitPerIndex": 1, "spec.maxFailedIndexes": 10,
     f"{RULES}[0].action": "FailIndex"},
    _success(succeededIndexes="0,2-4,9", succeededCount=5),
    _success(succeededCount=0),
    _exits(containerName=None),
    _exits(operator="NotIn", values=[0, 3]),
    {f"{MAIN}.ports": [{"containerPort": 80, "name": "a-1"}, {"containerPort": 80, "name": "b"}]},
    _field("metadata.annotations['Example.com/x']"),
    _field("status.podIPs"),
    _from(resourceFieldRef={"resource": "requests.memory", "divisor": "1Mi"}),
    _from(secretKeyRef={"name": "a", "key": "a_b.c", "optional": True}),
    {f"{MAIN}.env[4]": {"name": "a b/c:", "value": "x"}},
    {f"{MAIN}.env[4]": {"name": "N", "value": None}},
    {f"{MAIN}.envFrom[0].prefix": "A_"},
    {f"{AMOUNTS}.limits[memory]": "4294967296", f"{AMOUNTS}.requests[memory]": "4Gi"},
    {f"{AMOUNTS}.limits[memory]": 8e9},
    {f"{AMOUNTS}.limits[memory]": "+8.5e9"},
    {f"{AMOUNTS}.limits[memory]": "6E"},
    {f"{AMOUNTS}.limits[memory]": "8.G"},
    {f"{AMOUNTS}.limits[cpu]": "1000m"},
    {f"{AMOUNTS}.limits[nvidia.com/gpu]": "2k"},
    {f"{POD}.tolerations[0]": {"operator": "Exists"}},
    {f"{POD}.tolerations[0]": {"key": "a", "operator": "Exists", "effect": "NoExecute",
                               "tolerationSeconds": 5}},
    {f"{POD}.initContainers": [{"name": "first", "image": "y", "restartPolicy": "Always"}]},
    _expression(operator="Gt", values=["5"]),
    _expression(operator="DoesNotExist"),
    _volume(),
    _volume(projected={"sources": [{"serviceAccountToken": {"path": "token"}}]}),
    _mount(subPath="a/b"),
    {f"{POD}.hostNetwork": True, f"{POD}.dnsPolicy": "ClusterFirstWithHostNet"},
    {"status": {}},
]  # fmt: skip


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    """A Job as we write it: two rules, four variables, spot nodes, a Secret."""
    return manifest_of(step(ResourceConfig.with_cpu(preemptible=True)))


@pytest.fixture(scope="module")
def jobset() -> dict[str, Any]:
    """A JobSet as we write it: two slices of two hosts."""
    return manifest_of(step(ResourceConfig.with_tpu("v5p-16", slice_count=2)))


def _id(value: dict[str, Any] | str) -> str:
    if isinstance(value, dict):
        return " ".join(f"{path}={one!r}"[:60] for path, one in value.items())
    return value.split()[0]


@pytest.mark.parametrize(("changes", "fields"), REFUSED, ids=_id)
def test_a_server_refuses_it(job: dict[str, Any], changes: dict[str, Any], fields: str) -> None:
    """Else the cluster says so after the plan was reviewed, or says nothing."""
    found = violations(changed(job, changes))
    assert {one.status for one in found} == {422}
    assert sorted(one.field for one in found) == _words(fields)


@pytest.mark.parametrize(("changes", "field"), UNREADABLE, ids=_id)
def test_a_server_cannot_read_it(job: dict[str, Any], changes: dict[str, Any], field: str) -> None:
    """Else a number that should be a text is found out by a cluster."""
    (found,) = violations(changed(job, changes))
    assert (found.status, found.field) == (400, field)


@pytest.mark.parametrize("changes", ACCEPTED, ids=_id)
def test_a_server_takes_it(job: dict[str, Any], changes: dict[str, Any]) -> None:
    """Else a template that is right cannot be used."""
    assert violations(changed(job, changes)) == []


def _words(fields: str) -> list[str]:
    """Return fields from a text; `[a b/c]` is one word of it."""
    return sorted(fields.split()) if "a b" not in fields else [fields]


def test_all_mistakes_are_said_at_once(job: dict[str, Any]) -> None:
    """Else people mend one, plan, and meet the next."""
    wrong = changed(
        job,
        {
            "metadata.name": "A",
            "spec.backofflimit": 2,
            "spec.ttlSecondsAfterFinished": "never",
            f"{MAIN}.image": "",
            f"{AMOUNTS}.requests[memory]": "8Gi",
        },
    )
    found = violations(wrong, {"other"})
    assert [(one.status, one.field) for one in found] == [
        (400, "spec.backofflimit"),
        (400, "spec.ttlSecondsAfterFinished"),
        (404, "metadata.namespace"),
        (422, "metadata.name"),
        (422, f"{MAIN}.image"),
        (422, f"{AMOUNTS}.requests"),
    ]
    assert found[1].message == '`"never"` is not an integer'


JOBSETS: list[tuple[dict[str, Any], int, str]] = [
    ({"metadata.name": "x" * 54}, 403, "metadata.name"),
    ({"metadata.name": "x" * 60}, 403, "metadata.name"),
    ({"metadata.name": "1a"}, 403, "metadata.name"),
    ({"metadata.name": "a.b"}, 403, "metadata.name"),
    ({"metadata.labels[a b]": "x"}, 422, "metadata.labels"),
    ({"spec.ttlSecondsAfterFinished": -1}, 422, "spec.ttlSecondsAfterFinished"),
    ({"spec.replicatedJob": []}, 400, "spec.replicatedJob"),
    ({"spec.successPolicy.operator": "Every"}, 422, "spec.successPolicy.operator"),
    ({"spec.successPolicy.targetReplicatedJobs": ["x"]}, 403,
     "spec.successPolicy.targetReplicatedJobs[0]"),
    ({"spec.failurePolicy.restartStrategy": "Never"}, 422, "spec.failurePolicy.restartStrategy"),
    ({"spec.failurePolicy.maxRestarts": "3"}, 400, "spec.failurePolicy.maxRestarts"),
    ({"spec.failurePolicy.rules[0].action": "Ignore"}, 422, "spec.failurePolicy.rules[0].action"),
    ({"spec.failurePolicy.rules[0].name": "a-b"}, 403, "spec.failurePolicy.rules[0].name"),
    ({"spec.failurePolicy.rules[0].name": "a" * 129}, 403, "spec.failurePolicy.rules[0].name"),
    ({"spec.failurePolicy.rules[1].name": "interrupted"}, 403,
     "spec.failurePolicy.rules[1].name"),
    ({"spec.failurePolicy.rules[0].targetReplicatedJobs": ["w", "x"]}, 403,
     "spec.failurePolicy.rules[0].targetReplicatedJobs[1]"),
    ({"spec.failurePolicy.rules[0].onJobFailureReasons": ["Failed"]}, 403,
     "spec.failurePolicy.rules[0].onJobFailureReasons[0]"),
    ({"spec.replicatedJobs[0].name": ...}, 422, "spec.replicatedJobs[0].name"),
    ({"spec.replicatedJobs[0].replicas": (1 << 31) - 1}, 403, "spec.replicatedJobs[0].replicas"),
    ({"spec.replicatedJobs[0].dependsOn": [{"name": "w", "status": "Ready"}]}, 403,
     "spec.replicatedJobs[0].dependsOn[0].name"),
    ({"spec.network.subdomain": "a.b"}, 403, "spec.network.subdomain"),
    ({"spec.managedBy": "x"}, 403, "spec.managedBy"),
    ({"spec.coordinator": {"replicatedJob": "x"}}, 403, "spec.coordinator.replicatedJob"),
    ({"spec.coordinator": {"replicatedJob": "w", "jobIndex": 2}}, 403,
     "spec.coordinator.jobIndex"),
    # What it takes, and then is silent about for ever.
    ({f"{CHILD}.template.spec.containers[0].image": ""}, 201,
     f"{CHILD}.template.spec.containers[0].image"),
    ({f"{CHILD}.template.spec.containers[0].imagePullPolicy": "No"}, 201,
     f"{CHILD}.template.spec.containers[0].imagePullPolicy"),
    ({f"{CHILD}.template.spec.containers[0].resources.requests[google.com/tpu]": "2"}, 201,
     f"{CHILD}.template.spec.containers[0].resources.requests"),
    ({f"{CHILD}.template.metadata.labels[x]": "a b"}, 201, f"{CHILD}.template.labels"),
    ({f"{CHILD}.template.spec.restartPolicy": ...}, 201, f"{CHILD}.template.spec.restartPolicy"),
    ({f"{CHILD}.backoffLimit": -1}, 201, f"{CHILD}.backoffLimit"),
    ({f"{CHILD}.completionMode": ..., f"{CHILD}.completions": ...}, 201, f"{CHILD}.completions"),
    ({"spec.replicatedJobs[0].template.metadata": {"labels": {"x": "-"}}}, 201,
     "spec.replicatedJobs[0].template.labels"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "status", "field"), JOBSETS, ids=lambda value: str(value)[:60])
def test_a_jobset_is_held_against_its_own_rules_and_those_of_its_jobs(
    jobset: dict[str, Any], changes: dict[str, Any], status: int, field: str
) -> None:
    """Else a cluster takes a gang, and nothing ever happens."""
    found = violations(changed(jobset, changes))
    assert [(one.status, one.field) for one in found] == [(status, field)]


def test_jobsets_of_several_jobs_are_taken(jobset: dict[str, Any]) -> None:
    """Else a template with a leader, or with a name as long as can be, cannot be used."""
    several = copy.deepcopy(jobset)
    (first,) = several["spec"]["replicatedJobs"]
    second = {**copy.deepcopy(first), "name": "second"}
    second["dependsOn"] = [{"name": "w", "status": "Complete"}]
    several["spec"]["replicatedJobs"].append(second)
    several["spec"]["coordinator"] = {"replicatedJob": "second", "jobIndex": 1, "podIndex": 1}
    assert violations(several) == []
    assert violations(changed(jobset, {"metadata.name": "x" * 51})) == []
    second["name"] = "w"
    assert next(one.field for one in violations(several)).startswith("spec.replicatedJobs[1]")


def test_other_objects_are_left_to_the_server() -> None:
    """Else a template that adds a Service cannot be used."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "A"}}
    assert violations(service) == unrunnable(service) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)


@given(data=st.data())
def test_no_value_is_too_odd(
    job: dict[str, Any], jobset: dict[str, Any], data: st.DataObject
) -> None:
    """Else a mistake in a template ends in a traceback."""
    document = copy.deepcopy(data.draw(st.sampled_from([job, jobset])))
    place: Any = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    for one in [*violations(document), *unrunnable(document)]:
        assert one.message.isprintable()


def test_paths_are_split_as_they_are_written() -> None:
    """Else the cases above change another field than they name."""
    assert parts("metadata.labels[a.b/c]") == ["metadata", "labels", "a.b/c"]
    assert parts("spec.rules[2].name") == ["spec", "rules", 2, "name"]
