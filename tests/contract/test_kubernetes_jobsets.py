"""The stand-in for Kubernetes runs JobSets as v0.12 does: gangs that start and restart together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.kubernetes_resources import condition_of

from .kubernetes_samples import (
    GANGS,
    LONG,
    Clients,
    gang,
    new_name,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesCluster

PREFIX = "jobset.sigs.k8s.io/"
FREE_RESTART = {
    "name": "infra",
    "action": "RestartJobSetAndIgnoreMaxRestarts",
    "onJobFailureReasons": ["PodFailurePolicy"],
}
FINAL = {
    "name": "final",
    "action": "FailJobSet",
    "onJobFailureReasons": ["PodFailurePolicy"],
    "onJobFailureMessagePatterns": ["failed with exit code"],
}


def start(api: Clients, word: str, script: str, **more: Any) -> str:
    name = new_name(word)
    api.custom.create_namespaced_custom_object(*GANGS, gang(name, script, **more))
    return name


def end(cluster: KubernetesCluster, api: Clients, name: str) -> None:
    """Delete a gang, with all that it has made."""
    api.custom.delete_namespaced_custom_object(*GANGS, name)
    cluster.wait_for(lambda: not cluster.pods_of(name))
    cluster.wait_for(lambda: cluster.find("Job", f"{name}-w-0") is None)


def attempts(cluster: KubernetesCluster, name: str) -> list[str]:
    key = f"{PREFIX}restart-attempt"
    return [pod["metadata"]["labels"][key] for pod in cluster.pods_of(name)]


def test_each_pod_knows_its_place(cluster: KubernetesCluster, api: Clients) -> None:
    """Else the slices of a gang would not find each other, or would share their chips."""
    name = start(api, "gang", "echo $SLICE $JOB_COMPLETION_INDEX $LEADER")
    found = cluster.wait_for_condition("JobSet", name, "Completed")
    assert found["status"]["terminalState"] == "Completed"
    assert found["status"]["replicatedJobsStatus"][0]["succeeded"] == 2
    pods = cluster.pods_of(name)
    logs = [cluster.log(pod["metadata"]["name"]).strip() for pod in pods]
    places = [(slice_, host) for slice_ in range(2) for host in range(2)]
    assert logs == [f"{slice_} {host} {name}-w-0-0.{name}" for slice_, host in places]
    assert [pod["spec"]["hostname"] for pod in pods] == [
        f"{name}-w-{slice_}-{host}" for slice_, host in places
    ]
    pools = [pod["spec"]["nodeName"].rpartition("-")[0] for pod in pods]
    assert pools[0] == pools[1] != pools[2] == pools[3]
    labels = pods[3]["metadata"]["labels"]
    said = {key.removeprefix(PREFIX): value for key, value in labels.items()}
    assert (said["job-index"], said["job-global-index"], said["global-replicas"]) == ("1", "1", "2")
    end(cluster, api, name)


def test_one_failure_restarts_the_whole_gang(
    cluster: KubernetesCluster, api: Clients, tmp_path: Path
) -> None:
    """Else hosts of two attempts would run side by side, and wait for each other for ever."""
    script = f"[ -e {tmp_path}/again ] && exit; [ $SLICE$JOB_COMPLETION_INDEX = 10 ] || {LONG}; "
    name = start(api, "failing", script + f"touch {tmp_path}/again; exit 1")
    status = cluster.wait_for_condition("JobSet", name, "Completed")["status"]
    assert (status["restarts"], status["restartsCountTowardsMax"]) == (1, 1)
    assert attempts(cluster, name) == ["1"] * 4
    end(cluster, api, name)


def test_restarts_end(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a gang whose program is wrong would hold its slices for ever."""
    name = start(api, "wrong", "exit 1", restarts=1)
    found = cluster.wait_for_condition("JobSet", name, "Failed")
    failure = condition_of(found, "Failed") or {}
    assert (failure["reason"], found["status"]["restarts"]) == ("ReachedMaxRestarts", 1)
    assert failure["message"].startswith(
        f"jobset failed due to reaching max number of restarts (first failed job: {name}-w-"
    )
    end(cluster, api, name)


def test_lost_hosts_restart_a_gang_for_nothing(cluster: KubernetesCluster, api: Clients) -> None:
    """Else preemptions would use up the tries of a gang."""
    name = start(api, "evicted", LONG, restarts=0, rules=(FINAL, FREE_RESTART))
    pods = cluster.wait_for_pods(name, 4)
    first = {pod["metadata"]["uid"] for pod in pods}
    cluster.evict(pods[1]["metadata"]["name"])
    cluster.wait_for(lambda: attempts(cluster, name) == ["1"] * 4)
    again = cluster.wait_for_pods(name, 4)
    assert not first & {pod["metadata"]["uid"] for pod in again}
    status = (cluster.find("JobSet", name) or {})["status"]
    assert (status["restarts"], status["restartsCountTowardsMax"]) == (1, 0)
    cluster.oom(again[0]["metadata"]["name"])  # which no rule is for, and which is counted
    found = cluster.wait_for_condition("JobSet", name, "Failed")
    assert (condition_of(found, "Failed") or {})["reason"] == "ReachedMaxRestarts"
    end(cluster, api, name)


def test_a_final_exit_code_ends_a_gang(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an error that is there again each time would be tried again on all slices."""
    codes = {"containerName": "main", "operator": "In", "values": [2]}
    rule = {"action": "FailJob", "onExitCodes": codes}
    name = start(api, "final", "exit 2", restarts=5, rules=(FINAL, FREE_RESTART), pod_rules=(rule,))
    found = cluster.wait_for_condition("JobSet", name, "Failed")
    assert (condition_of(found, "Failed") or {})["reason"] == "FailJobSetFailurePolicyAction"
    assert found["status"]["restarts"] == 0
    end(cluster, api, name)


def test_a_queue_takes_a_gang_back_and_counts_nothing(
    cluster: KubernetesCluster, api: Clients
) -> None:
    """Else a gang that waits for its quota would look as if it ran, or had failed."""
    name = new_name("queued")
    wanted = gang(name, LONG)
    wanted["spec"]["suspend"] = True
    api.custom.create_namespaced_custom_object(*GANGS, wanted)

    def suspend(value: bool) -> None:
        patch = {"spec": {"suspend": value}}
        api.custom.patch_namespaced_custom_object(*GANGS, name, patch)

    cluster.wait_for_condition("JobSet", name, "Suspended")
    assert not cluster.pods_of(name)
    suspend(False)
    cluster.wait_for_pods(name, 4)
    suspend(True)
    cluster.wait_for(lambda: not cluster.pods_of(name))
    suspend(False)
    cluster.wait_for_pods(name, 4)
    status = (cluster.find("JobSet", name) or {})["status"]
    assert (status["restarts"], status["replicatedJobsStatus"][0]["suspended"]) == (0, 0)
    end(cluster, api, name)
