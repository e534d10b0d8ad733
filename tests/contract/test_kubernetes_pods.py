"""The stand-in for Kubernetes runs pods as processes, and loses them in all the usual ways."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import ApiException

from tests.servers.kubernetes_nodes import Node
from tests.servers.kubernetes_resources import condition_of, holds
from tests.servers.kubernetes_view import PATIENCE
from tests.servers.programs import CHECKOUT, tied
from tests.servers.slurm import wait_until

from .kubernetes_samples import (
    DISRUPTED,
    LONG,
    NAMESPACE,
    Clients,
    end_of,
    job,
    name_of,
    new_name,
    start,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesCluster


def states_of(cluster: KubernetesCluster, pod: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what became of a pod since a moment, also when it is gone."""
    meta = pod["metadata"]
    return [
        change.after
        for change in cluster.store.changes
        if change.version > int(meta["resourceVersion"])
        and change.after["metadata"]["uid"] == meta["uid"]
    ]


def fits_nowhere(cluster: KubernetesCluster, name: str) -> bool:
    conditions = [condition_of(pod, "PodScheduled") or {} for pod in cluster.pods_of(name)]
    return [each.get("reason") for each in conditions] == ["Unschedulable"]


def test_a_container_gets_its_environment(
    cluster: KubernetesCluster, api: Clients, tmp_path: Path
) -> None:
    """Else secrets, labels and volumes would reach no program, and no test would see it."""
    secret = new_name("secret")
    cluster.add_secret(secret, {"TOKEN": "s3cr3t", "HOST": "from the secret"})
    by_label = {"fieldRef": {"fieldPath": "metadata.labels['team']"}}
    mounts = [{"name": "scratch", "mountPath": "/not-here/scratch"}]
    container = {
        "command": ["sh", "-c"],
        "args": ["echo $TOKEN, $HOST, '$(GREETING)', $TEAM, $PLACE, '$$(X)'; pwd; cat $(FILE)"],
        "workingDir": str(tmp_path),
        "env": [
            {"name": "HOST", "value": "my own"},
            {"name": "GREETING", "value": "hello $(TOKEN) $(UNKNOWN)"},
            {"name": "TEAM", "valueFrom": by_label},
            {"name": "PLACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "FILE", "value": "/not-here/scratch/note"},
        ],
        "envFrom": [{"secretRef": {"name": secret}}],
        "volumeMounts": mounts,
    }
    first = {
        "name": "first",
        "image": "tests",
        "command": ["sh", "-c", "echo from the first > /not-here/scratch/note"],
        "volumeMounts": mounts,
    }
    spec = job(
        name := new_name("environment"), container=container, pod={"initContainers": [first]}
    )
    template = spec["spec"]["template"]
    template["metadata"] = {"labels": {"team": "lm"}}
    template["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    api.batch.create_namespaced_job(NAMESPACE, spec)
    cluster.wait_for_condition("Job", name, "Complete")
    assert cluster.log(name_of(cluster.pods_of(name)[0])).splitlines() == [
        "s3cr3t, my own, hello s3cr3t $(UNKNOWN), lm, default, $(X)",
        str(tmp_path),
        "from the first",
    ]


def test_an_evicted_pod_is_told_to_end(
    cluster: KubernetesCluster, api: Clients, tmp_path: Path
) -> None:
    """Else work that a cluster took away would look like an error of the program."""
    script = (
        f"[ -e {tmp_path}/told ] && exit; trap 'touch {tmp_path}/told; exit 9' TERM; echo up; "
        "sleep 600 & wait"
    )
    name = start(api, "evicted", script, podFailurePolicy={"rules": [DISRUPTED]})
    (pod,) = cluster.wait_for_pods(name)
    cluster.wait_for_log(name_of(pod), "up")
    api.core.create_namespaced_pod_eviction(
        name_of(pod), NAMESPACE, {"metadata": {"name": name_of(pod)}}
    )
    assert cluster.wait_for_condition("Job", name, "Complete")["status"]["failed"] == 0
    last = states_of(cluster, pod)[-1]
    assert last["status"]["phase"] == "Failed"
    assert end_of(last)["exitCode"] == 9
    assert (condition_of(last, "DisruptionTarget") or {})["reason"] == "EvictionByEvictionAPI"


def test_memory_that_runs_out_is_counted(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a step that needs more memory would be tried again as if its node had been lost."""
    name = start(api, "oom", LONG, podFailurePolicy={"rules": [DISRUPTED]})
    (pod,) = cluster.wait_for_pods(name)
    cluster.oom(name_of(pod))
    assert cluster.wait_for_condition("Job", name, "Failed")["status"]["failed"] == 1
    pod = cluster.pod(name_of(pod))
    assert (end_of(pod)["exitCode"], end_of(pod)["reason"]) == (137, "OOMKilled")
    assert not holds(pod, "DisruptionTarget")


def test_a_lost_node_takes_its_pods_along(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show a pod that ends without an exit code."""
    cluster.add_node(Node("doomed", labels={"zone": "doomed"}))
    spec = {"podFailurePolicy": {"rules": [DISRUPTED]}, "pod": {"nodeSelector": {"zone": "doomed"}}}
    name = start(api, "lost", LONG, **spec)
    (pod,) = cluster.wait_for_pods(name)
    cluster.lose_node("doomed")
    (other,) = cluster.wait_for_pods(name, phase="Pending")
    assert other["metadata"]["uid"] != pod["metadata"]["uid"]
    states = states_of(cluster, pod)
    assert (condition_of(states[0], "Ready") or {})["status"] == "Unknown"
    assert (condition_of(states[-1], "DisruptionTarget") or {})["reason"] == "DeletionByPodGC"
    assert states[-1]["status"]["phase"] == "Failed"
    assert "running" in states[-1]["status"]["containerStatuses"][0]["state"]
    assert (cluster.find("Job", name) or {})["status"]["failed"] == 0
    cluster.wait_for(lambda: fits_nowhere(cluster, name))
    api.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")


def test_a_spot_node_is_shut_down(cluster: KubernetesCluster, api: Clients, tmp_path: Path) -> None:
    """Else nothing would show a preemption, after which a pod gets SIGTERM and has failed."""
    cluster.add_node(Node("spot", labels={"zone": "spot"}))
    rules = {"podFailurePolicy": {"rules": [DISRUPTED]}}
    script = f"trap 'touch {tmp_path}/told; exit 0' TERM; echo up; sleep 600 & wait"
    name = start(api, "spot", script, pod={"nodeSelector": {"zone": "spot"}}, **rules)
    (pod,) = cluster.wait_for_pods(name)
    cluster.wait_for_log(name_of(pod), "up")
    cluster.preempt_node("spot")
    assert (tmp_path / "told").exists()
    cluster.wait_for(lambda: fits_nowhere(cluster, name))
    failed = next(each for each in states_of(cluster, pod) if each["status"]["phase"] == "Failed")
    assert failed["status"]["reason"] == "Terminated"
    assert (condition_of(failed, "DisruptionTarget") or {})["reason"] == "TerminationByKubelet"
    assert (cluster.find("Job", name) or {})["status"]["failed"] == 0
    api.batch.delete_namespaced_job(name, NAMESPACE, propagation_policy="Background")


def test_a_node_may_refuse_a_pod(cluster: KubernetesCluster, api: Clients) -> None:
    """Else nothing would show a pod that fails without an exit code, and counts as a failure."""
    cluster.refuse_pods(1)
    name = start(api, "refused", "exit 0", backoffLimit=1)
    assert cluster.wait_for_condition("Job", name, "Complete")["status"]["failed"] == 1
    (refused,) = [pod for pod in cluster.pods_of(name) if pod["status"]["phase"] == "Failed"]
    assert refused["status"]["reason"] == "UnexpectedAdmissionError"
    assert "containerStatuses" not in refused["status"]
    assert not holds(refused, "DisruptionTarget")


def test_what_is_not_known_is_refused(api: Clients) -> None:
    """Else a test would pass because the stand-in passes over what a cluster acts on."""
    unknown: list[dict[str, Any]] = [
        {"pod": {"activeDeadlineSeconds": 1}},
        {"pod": {"volumes": [{"name": "a", "hostPath": {"path": "/"}}]}},
        {"container": {"lifecycle": {"preStop": {"exec": {"command": ["true"]}}}}},
        {"backoffLimitPerIndex": 1, "completionMode": "Indexed", "completions": 1},
    ]
    for each in unknown:
        with pytest.raises(ApiException) as caught:
            start(api, "unknown", "exit 0", **each)
        assert caught.value.status == 501


def test_a_pod_that_fits_nowhere_waits(cluster: KubernetesCluster, api: Clients) -> None:
    """Else an engine could not say why a job does not start."""
    selector = {"cloud.google.com/gke-accelerator": "nvidia-b200"}
    tolerations = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    limits = {"resources": {"limits": {"nvidia.com/gpu": "8"}}}
    pod = {"nodeSelector": selector, "tolerations": tolerations}
    name = start(api, "wide", "exit 0", pod=pod, container=limits)
    cluster.wait_for(lambda: fits_nowhere(cluster, name))
    message = (condition_of(cluster.pods_of(name)[0], "PodScheduled") or {})["message"]
    count = len(cluster.objects("Node"))
    assert message.startswith(f"0/{count} nodes are available: {count} node(s) didn't match")
    cluster.add_node(Node(new_name("b200"), {"nvidia.com/gpu": "8"}, selector))
    cluster.wait_for_condition("Job", name, "Complete")


def test_an_image_that_is_not_there_keeps_a_pod_waiting(
    cluster: KubernetesCluster, api: Clients
) -> None:
    """Else nothing would show a job that neither runs nor fails."""
    cluster.unpullable("missing/")
    name = start(api, "image", "exit 0", container={"image": "missing/lm:1"})

    def reason() -> str:
        for pod in cluster.pods_of(name):
            for container in pod["status"].get("containerStatuses", ()):
                return str(container["state"].get("waiting", {}).get("reason"))
        return ""

    cluster.wait_for(lambda: reason() == "ImagePullBackOff")
    (pod,) = cluster.pods_of(name)
    assert pod["status"]["phase"] == "Pending"
    with pytest.raises(ApiException, match="trying and failing to pull image"):
        api.core.read_namespaced_pod_log(name_of(pod), NAMESPACE)
    cluster.unpullable()
    cluster.wait_for_condition("Job", name, "Complete")


def test_a_program_that_is_not_there_is_an_error(cluster: KubernetesCluster, api: Clients) -> None:
    """Else a misspelt command would look like a pod that waits."""
    name = start(api, "missing", "", container={"command": ["no-such-program"]})
    cluster.wait_for_condition("Job", name, "Failed")
    end = end_of(cluster.pods_of(name)[0])
    assert (end["exitCode"], end["reason"]) == (128, "StartError")


def test_pods_end_with_the_process_of_the_test(tmp_path: Path) -> None:
    """Else tests that were killed would leave programs behind that use the machine."""
    script = (
        "import pathlib, sys, threading\n"
        "from tests.contract.kubernetes_samples import clients_of, job\n"
        "from tests.servers.kubernetes import kubernetes_cluster\n"
        "with kubernetes_cluster(pathlib.Path(sys.argv[1])) as cluster:\n"
        "    api = clients_of(cluster.kubeconfig)\n"
        "    api.batch.create_namespaced_job('default', job('a', 'echo $$$$; exec sleep 600'))\n"
        "    (pod,) = cluster.wait_for_pods('a')\n"
        "    cluster.wait_for_log(pod['metadata']['name'], '\\n')\n"
        "    print(cluster.log(pod['metadata']['name']), flush=True)\n"
        "    threading.Event().wait()\n"
    )
    argv = tied([sys.executable, "-c", script, str(tmp_path)])
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            pod = int(process.stdout.readline())
            assert is_alive(pod)
        finally:
            process.kill()
    wait_until(lambda: not is_alive(pod), PATIENCE)


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    return False
