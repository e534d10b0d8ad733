"""The stand-in for Kubernetes keeps the published rules of the API, for the official client."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from kubernetes.client import ApiException

from .kubernetes_samples import (
    GANGS,
    JOBS,
    LONG,
    NAMESPACE,
    Clients,
    gang,
    job,
    new_name,
    status_of,
    watched,
)

if TYPE_CHECKING:
    from tests.servers.kubernetes import KubernetesCluster

MERGE = "application/merge-patch+json"


def remove(cluster: KubernetesCluster, api: Clients, name: str) -> None:
    api.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
    for pod in cluster.pods_of(name):
        with suppress(ApiException):
            api.core.delete_namespaced_pod(
                pod["metadata"]["name"], NAMESPACE, grace_period_seconds=0
            )
    cluster.wait_for(lambda: not cluster.pods_of(name))


def test_a_name_is_taken_once(api: Clients) -> None:
    """Else a submit that was sent twice would start two jobs, and no test would see it."""
    name = new_name("once")
    made = api.batch.create_namespaced_job(NAMESPACE, job(name))
    assert made.metadata.uid
    assert made.spec.pod_replacement_policy == "TerminatingOrFailed"
    assert (made.spec.completions, made.spec.parallelism) == (1, 1)
    own = {"batch.kubernetes.io/controller-uid": made.metadata.uid}
    assert (made.spec.selector.match_labels, made.metadata.generation) == (own, 1)
    again = status_of(lambda: api.batch.create_namespaced_job(NAMESPACE, job(name)))
    assert (again["code"], again["reason"]) == (409, "AlreadyExists")
    assert again["message"] == f'jobs.batch "{name}" already exists'
    there = api.batch.read_namespaced_job(name, NAMESPACE)
    assert there.metadata.uid == made.metadata.uid
    nameless = job("")
    nameless["metadata"] = {"generateName": f"{name}-"}
    others = [api.batch.create_namespaced_job(NAMESPACE, nameless) for _ in range(2)]
    assert len({other.metadata.name for other in others}) == 2
    assert int(there.metadata.resource_version) >= int(made.metadata.resource_version)


def test_what_is_not_there_is_not_found(api: Clients) -> None:
    """Else an engine could not tell a lost job from a server that is down."""
    gone = status_of(lambda: api.batch.read_namespaced_job("nothing", NAMESPACE))
    assert (gone["code"], gone["reason"]) == (404, "NotFound")
    nowhere = status_of(lambda: api.batch.create_namespaced_job("nowhere", job("a")))
    assert nowhere["message"] == 'namespaces "nowhere" not found'
    unknown = ("kueue.x-k8s.io", "v1beta2", NAMESPACE, "workloads")
    with pytest.raises(ApiException) as caught:
        api.custom.list_namespaced_custom_object(*unknown)
    assert caught.value.status == 404


def test_a_dry_run_checks_and_stores_nothing(api: Clients) -> None:
    """Else a plan that is only looked at would start its jobs."""
    name = new_name("dry")
    api.batch.create_namespaced_job(NAMESPACE, job(name), dry_run="All")
    assert status_of(lambda: api.batch.read_namespaced_job(name, NAMESPACE))["code"] == 404
    faulty = job(name, pod={"restartPolicy": "Always"})
    refused = status_of(lambda: api.batch.create_namespaced_job(NAMESPACE, faulty, dry_run="All"))
    assert refused["code"] == 422
    causes = refused["details"]["causes"]
    assert [cause["field"] for cause in causes] == ["spec.template.spec.restartPolicy"]
    assert causes[0]["reason"] == "FieldValueNotSupported"


def test_unknown_fields_are_dropped_or_refused(api: Clients) -> None:
    """Else a misspelt field would look as if it worked."""
    misspelt = job(new_name("strict"), backofflimit=3)
    create = api.custom.create_namespaced_custom_object  # the typed client would refuse it itself
    strictly = status_of(lambda: create(*JOBS, misspelt, field_validation="Strict"))
    assert strictly["code"] == 400
    assert 'strict decoding error: unknown field "spec.backofflimit"' in strictly["message"]
    assert "backofflimit" not in create(*JOBS, misspelt)["spec"]
    assert status_of(lambda: create(*JOBS, gang(new_name("kind"), "exit 0")))["code"] == 400
    assert status_of(lambda: create(*JOBS, {"metadata": 7}))["code"] == 400
    assert status_of(lambda: create(*JOBS, job("")))["code"] == 422


def test_a_gang_with_a_faulty_pod_is_taken_and_stays_silent(
    cluster: KubernetesCluster, api: Clients
) -> None:
    """Else no test would show why an engine checks the Jobs of a JobSet before it submits."""
    name = new_name("silent")
    faulty = gang(name, "exit 0")
    inner = faulty["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    inner["containers"][0]["image"] = ""
    api.custom.create_namespaced_custom_object(*GANGS, faulty)
    other = new_name("other")
    api.batch.create_namespaced_job(NAMESPACE, job(other))
    cluster.wait_for_condition("Job", other, "Complete")  # the controllers have been by
    assert cluster.find("Job", f"{name}-w-0") is None
    found = api.custom.get_namespaced_custom_object(*GANGS, name)
    assert "conditions" not in found["status"]
    of_it = f"involvedObject.name={name}"
    assert not api.core.list_namespaced_event(NAMESPACE, field_selector=of_it).items
    api.custom.delete_namespaced_custom_object(*GANGS, name)


def test_lists_are_chosen_from_and_paged(api: Clients) -> None:
    """Else an engine that asks for one plan's jobs would be shown, or delete, those of others."""
    plan = new_name("plan")
    names = [new_name("listed") for _ in range(5)]
    for i, name in enumerate(names):
        labels = {"plan": plan, "wave": str(i % 2), **({"last": "yes"} if i == 4 else {})}
        api.batch.create_namespaced_job(NAMESPACE, job(name, labels=labels))

    def chosen(selector: str) -> list[str]:
        selector = f"plan={plan},{selector}"
        found = api.batch.list_namespaced_job(NAMESPACE, label_selector=selector).items
        return sorted(each.metadata.name for each in found)

    assert chosen("wave=1") == sorted([names[1], names[3]])
    assert chosen("wave!=1") == sorted([names[0], names[2], names[4]])
    assert chosen("wave in (0, 2),!last") == sorted([names[0], names[2]])
    assert chosen("last") == chosen("wave notin (1),last==yes") == [names[4]]
    named = api.batch.list_namespaced_job(NAMESPACE, field_selector=f"metadata.name={names[0]}")
    assert [each.metadata.name for each in named.items] == [names[0]]
    assert status_of(lambda: chosen("wave~1"))["code"] == 400
    pages, token = [], None
    while token != "":
        page = api.batch.list_namespaced_job(
            NAMESPACE, label_selector=f"plan={plan}", limit=2, _continue=token
        )
        pages.append([each.metadata.name for each in page.items])
        token = page.metadata._continue or ""
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == sorted(names)


def test_a_stale_state_is_not_written(cluster: KubernetesCluster, api: Clients) -> None:
    """Else two writers would undo each other's work."""
    name = new_name("stale")
    api.batch.create_namespaced_job(NAMESPACE, job(name, LONG))
    # Until then its controller writes, too.
    cluster.wait_for(lambda: (cluster.find("Job", name) or {}).get("status", {}).get("ready") == 1)
    read = api.batch.read_namespaced_job(name, NAMESPACE)
    api.batch.patch_namespaced_job(name, NAMESPACE, {"metadata": {"labels": {"a": "b"}}})
    read.spec.backoff_limit = 4
    stale = status_of(lambda: api.batch.replace_namespaced_job(name, NAMESPACE, read))
    assert (stale["code"], stale["reason"]) == (409, "Conflict")
    assert "the object has been modified" in stale["message"]
    read = api.batch.read_namespaced_job(name, NAMESPACE)
    read.spec.backoff_limit = 5
    assert api.batch.replace_namespaced_job(name, NAMESPACE, read).spec.backoff_limit == 5
    remove(cluster, api, name)


def test_patches_change_what_may_change(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine would believe that it can change the pods of a job that runs."""
    name = new_name("patched")
    api.batch.create_namespaced_job(NAMESPACE, job(name, LONG))
    patch = api.batch.patch_namespaced_job
    made = patch(name, NAMESPACE, {"spec": {"activeDeadlineSeconds": 99}}, _content_type=MERGE)
    assert made.spec.active_deadline_seconds == 99
    operations = [{"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 98}]
    assert patch(name, NAMESPACE, operations).spec.active_deadline_seconds == 98
    pods = {"template": {"spec": {"terminationGracePeriodSeconds": 5}}}
    fixed = status_of(lambda: patch(name, NAMESPACE, {"spec": pods}, _content_type=MERGE))
    assert fixed["code"] == 422
    assert fixed["details"]["causes"][0]["field"] == "spec.template"
    assert patch(name, NAMESPACE, {"status": {"failed": 7}}, _content_type=MERGE).status.failed != 7
    remove(cluster, api, name)


def test_a_job_leaves_its_pods_unless_asked(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine could cancel a job, and not see that its program goes on."""
    name = new_name("orphan")
    made = api.batch.create_namespaced_job(NAMESPACE, job(name, LONG))
    cluster.wait_for_pods(name)
    other = {"preconditions": {"uid": "another"}}
    kept = status_of(lambda: api.batch.delete_namespaced_job(name, NAMESPACE, body=other))
    assert (kept["code"], kept["reason"]) == (409, "Conflict")
    own = {"preconditions": {"uid": made.metadata.uid}}
    api.batch.delete_namespaced_job(name, NAMESPACE, body=own)
    cluster.wait_for(lambda: cluster.find("Job", name) is None)
    (pod,) = cluster.pods_of(name)
    assert pod["status"]["phase"] == "Running"
    assert "ownerReferences" not in pod["metadata"]
    api.core.delete_namespaced_pod(pod["metadata"]["name"], NAMESPACE)
    cluster.wait_for(lambda: not cluster.pods_of(name))


def test_a_name_is_free_when_its_job_is_gone(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a job that is submitted again at once would count as one that is there already."""
    name = new_name("leaving")
    slow = job(
        name,
        "trap '' TERM; echo up; sleep 600 & wait; wait",
        pod={"terminationGracePeriodSeconds": 1},
    )
    api.batch.create_namespaced_job(NAMESPACE, slow)
    (pod,) = cluster.wait_for_pods(name)
    cluster.wait_for_log(pod["metadata"]["name"], "up")
    api.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Foreground")
    leaving = status_of(lambda: api.batch.create_namespaced_job(NAMESPACE, slow))
    assert leaving["code"] == 409
    assert leaving["message"].startswith("object is being deleted: ")
    cluster.wait_for(lambda: cluster.find("Job", name) is None)  # it took SIGKILL
    assert not cluster.pods_of(name)


def test_a_watch_tells_every_change(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine that watches would miss the end of a job."""
    name = new_name("watched")
    version = api.batch.list_namespaced_job(NAMESPACE).metadata.resource_version
    labels = {"watched": name}
    api.batch.create_namespaced_job(NAMESPACE, job(name, labels=labels))
    cluster.wait_for_condition("Job", name, "Complete")
    bare = {"metadata": {"labels": {"watched": None}}}
    api.batch.patch_namespaced_job(name, NAMESPACE, bare, _content_type=MERGE)
    events = watched(
        api.batch.list_namespaced_job,
        label_selector=f"watched={name}",
        resource_version=version,
        allow_watch_bookmarks=True,
    )
    kinds = [event["type"] for event in events]
    assert kinds[0] == "ADDED"
    assert [kind for kind in kinds if kind != "MODIFIED"][1] == "DELETED"  # it is chosen no more
    assert kinds[-1] == "BOOKMARK"
    states = [event["raw_object"].get("status", {}) for event in events]
    ends = [state["conditions"][-1]["type"] for state in states if "conditions" in state]
    assert "Complete" in ends
    mark = int(events[-1]["raw_object"]["metadata"]["resourceVersion"])
    assert mark >= int(api.batch.read_namespaced_job(name, NAMESPACE).metadata.resource_version)
