"""The stand-in for Kubernetes answers the real kubectl, as `submit.sh` and people use it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .kubernetes_samples import LONG, gang, job, new_name

if TYPE_CHECKING:
    from tests.servers.kubernetes import KubernetesCluster

KUBECTL = Path(sys.prefix) / "bin" / "kubectl"
APPLY = ("apply", "--server-side", "--field-manager=tests", "-f", "-")


def kubectl(
    cluster: KubernetesCluster, *words: str, said: dict[str, Any] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run kubectl with an object on its standard input."""
    return subprocess.run(
        [KUBECTL, *words],
        env=os.environ | cluster.environment | {"HOME": str(cluster.folder)},
        input=None if said is None else json.dumps(said),
        capture_output=True,
        text=True,
        check=False,
    )


def test_kubectl_applies_and_follows(cluster: KubernetesCluster) -> None:
    """Else nothing would show that the scripts that are emitted for kubectl work with it."""
    name = new_name("applied")
    wanted = job(name, "echo hello")
    dry = kubectl(cluster, *APPLY, "--dry-run=server", said=wanted)
    assert dry.stdout == f"job.batch/{name} serverside-applied (server dry run)\n", dry.stderr
    assert cluster.find("Job", name) is None
    for _ in range(2):  # the second time there is nothing to do
        applied = kubectl(cluster, *APPLY, said=wanted)
        assert applied.stdout == f"job.batch/{name} serverside-applied\n", applied.stderr
    waited = kubectl(cluster, "wait", "--for=condition=Complete", "--timeout=240s", f"job/{name}")
    assert waited.stdout == f"job.batch/{name} condition met\n", waited.stderr
    ends = kubectl(
        cluster, "get", "job", name, "-o", 'jsonpath={.status.conditions[?(@.status=="True")].type}'
    )
    assert ends.stdout == "SuccessCriteriaMet Complete"
    assert kubectl(cluster, "logs", f"job/{name}").stdout == "hello\n"
    assert kubectl(cluster, "delete", "job", name).returncode == 0
    cluster.wait_for(lambda: not cluster.pods_of(name))


def test_kubectl_is_told_what_is_wrong(cluster: KubernetesCluster) -> None:
    """Else a manifest that a cluster refuses would look as if it had been submitted."""
    name = new_name("wrong")
    misspelt = kubectl(cluster, *APPLY, said=job(name, backofflimit=1))
    assert misspelt.returncode == 1
    assert 'strict decoding error: unknown field "spec.backofflimit"' in misspelt.stderr
    faulty = kubectl(cluster, *APPLY, said=job(name, pod={"restartPolicy": "Always"}))
    assert "spec.template.spec.restartPolicy" in faulty.stderr
    assert cluster.find("Job", name) is None


def test_kubectl_ends_a_gang(cluster: KubernetesCluster) -> None:
    """Else hosts would go on after a person has deleted their gang."""
    name = new_name("gang")
    applied = kubectl(cluster, *APPLY, said=gang(name, LONG))
    assert applied.stdout == f"jobset.jobset.x-k8s.io/{name} serverside-applied\n", applied.stderr
    cluster.wait_for_pods(name, 4)
    assert kubectl(cluster, "delete", "jobset", name).returncode == 0
    cluster.wait_for(lambda: not cluster.pods_of(name))
