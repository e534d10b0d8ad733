"""The stand-in for Kubernetes runs Jobs as the published rules have it, their pods as processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.kubernetes_resources import condition_of

from .kubernetes_samples import (
    DISRUPTED,
    LONG,
    NAMESPACE,
    Clients,
    end_of,
    name_of,
    start,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesCluster


def on_exit(action: str, *codes: int) -> dict[str, Any]:
    found = {"containerName": "main", "operator": "In", "values": list(codes)}
    return {"action": action, "onExitCodes": found}


def test_each_completion_knows_its_index(cluster: KubernetesCluster, api: Clients) -> None:
    """Else the hosts of a gang would all be the first one."""
    indexed = {"completionMode": "Indexed", "completions": 4, "parallelism": 2}
    name = start(api, "indexed", "echo a; echo $JOB_COMPLETION_INDEX $HOSTNAME", **indexed)
    status = cluster.wait_for_condition("Job", name, "Complete")["status"]
    assert (status["completedIndexes"], status["succeeded"], status["active"]) == ("0-3", 4, 0)
    kinds = [each["type"] for each in status["conditions"]]
    assert kinds == ["SuccessCriteriaMet", "Complete"]
    read = api.core.read_namespaced_pod_log
    lines = [read(name_of(pod), NAMESPACE, tail_lines=1) for pod in cluster.pods_of(name)]
    assert lines == [f"{i} {name}-{i}\n" for i in range(4)]
    events = api.core.list_namespaced_event(
        NAMESPACE, field_selector=f"involvedObject.name={name}"
    ).items
    assert sorted({each.reason for each in events}) == ["Completed", "SuccessfulCreate"]


def test_failures_are_counted(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a job would try for ever, or not as often as it may."""
    name = start(api, "failing", "exit 3", backoffLimit=2)
    status = cluster.wait_for_condition("Job", name, "Failed")["status"]
    assert status["failed"] == 3
    assert [each["type"] for each in status["conditions"]] == ["FailureTarget", "Failed"]
    assert status["conditions"][-1]["reason"] == "BackoffLimitExceeded"
    ends = [end_of(pod) for pod in cluster.pods_of(name)]
    assert [(end["exitCode"], end["reason"]) for end in ends] == [(3, "Error")] * 3


def test_a_container_may_be_started_again_in_its_pod(
    cluster: KubernetesCluster, api: Clients, tmp_path: Path
) -> None:
    """Else a program that fails and goes on in the same pod would look like a new pod."""
    script = f"echo >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 3 ]"
    on_failure = {"restartPolicy": "OnFailure"}
    name = start(api, "again", script, backoffLimit=5, pod=on_failure)
    assert cluster.wait_for_condition("Job", name, "Complete")["status"]["failed"] == 0
    (pod,) = cluster.pods_of(name)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 2
    wrong = start(api, "again", "exit 1", backoffLimit=1, pod=on_failure)
    found = cluster.wait_for_condition("Job", wrong, "Failed")
    assert (condition_of(found, "Failed") or {})["reason"] == "BackoffLimitExceeded"


@pytest.mark.parametrize(
    ("action", "reason", "failed"),
    [("FailJob", "PodFailurePolicy", 1), ("Count", "BackoffLimitExceeded", 2)],
)
def test_rules_decide_what_an_exit_code_means(
    cluster: KubernetesCluster, api: Clients, action: str, reason: str, failed: int
) -> None:
    """Else an error that is there again each time would be tried again, or lost work would not."""
    rules = {"rules": [DISRUPTED, on_exit(action, 2, 3)]}
    name = start(api, "ruled", "exit 3", backoffLimit=1, podFailurePolicy=rules)
    found = cluster.wait_for_condition("Job", name, "Failed")
    failure = condition_of(found, "Failed") or {}
    assert (failure["reason"], found["status"]["failed"]) == (reason, failed)
    if action == "FailJob":
        pod = f"{NAMESPACE}/{name_of(cluster.pods_of(name)[0])}"
        assert failure["message"] == (
            f"Container main for pod {pod} failed with exit code 3 matching FailJob rule at index 1"
        )


def test_ignored_failures_are_not_counted(
    cluster: KubernetesCluster, api: Clients, tmp_path: Path
) -> None:
    """Else a job that lost its nodes too often would have failed."""
    script = f"echo >> {tmp_path}/tries; [ $(wc -l < {tmp_path}/tries) = 3 ] || exit 75"
    rules = {"rules": [on_exit("Ignore", 75)]}
    name = start(api, "ignoring", script, backoffLimit=0, podFailurePolicy=rules)
    assert cluster.wait_for_condition("Job", name, "Complete")["status"]["failed"] == 0
    assert len(cluster.pods_of(name)) == 3


def test_a_deadline_ends_a_job(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a job that hangs would hold its nodes for ever."""
    name = start(api, "late", LONG, activeDeadlineSeconds=1)
    found = cluster.wait_for_condition("Job", name, "Failed")
    assert (condition_of(found, "Failed") or {})["reason"] == "DeadlineExceeded"
    cluster.wait_for(lambda: not cluster.pods_of(name))


def test_a_finished_job_goes_with_its_pods(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine would count on a job, and its log, that a cluster has deleted."""
    name = start(api, "short", "exit 0", ttlSecondsAfterFinished=0)
    cluster.wait_for(lambda: cluster.find("Job", name) is None)
    assert not cluster.pods_of(name)


def test_a_job_is_suspended_and_resumed(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show how a queue holds a job back, or takes its nodes away."""
    name = start(api, "queued", LONG, suspend=True)
    cluster.wait_for_condition("Job", name, "Suspended")
    assert not cluster.pods_of(name)
    patch = api.batch.patch_namespaced_job
    patch(name, NAMESPACE, {"spec": {"suspend": False}})
    cluster.wait_for_pods(name)
    patch(name, NAMESPACE, {"spec": {"suspend": True}})
    cluster.wait_for(lambda: not cluster.pods_of(name))
    assert (cluster.find("Job", name) or {})["status"]["failed"] == 0
    api.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")
