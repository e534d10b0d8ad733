"""A small Kubernetes for tests: an API server, its controllers, and pods that are processes.

A stand-in, because a real one needs more than a test may ask for. It follows the published API of
Kubernetes 1.36 and of JobSet v1alpha2 (v0.12); what it does not know it refuses with 501. It runs
in the process of the test; its pods are processes that end with it, even if it is killed. It has no
images: a container runs what is installed here, with the variables of `image_environment`. It has
no network of its own: pods share the loopback, each with an address of 127.1.0.0/16, and the names
of pods and services are not resolved. It deliberately fails in all the ways that clusters do.

    with kubernetes_cluster(folder) as cluster:
        subprocess.run([...], env=os.environ | cluster.environment)
        cluster.evict("a-pod")

    python -m tests.servers.kubernetes FOLDER
    KUBECONFIG=FOLDER/kubeconfig kubectl get nodes
"""

from __future__ import annotations

import argparse
import base64
import json
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from .certificates import loopback_tls
from .kubernetes_api import KubernetesApi
from .kubernetes_controllers import Controllers
from .kubernetes_deletion import evict
from .kubernetes_http import ApiServer
from .kubernetes_kubelet import Kubelet
from .kubernetes_nodes import Node
from .kubernetes_resources import Object, set_condition
from .kubernetes_store import Store
from .kubernetes_view import ClusterView

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator, Mapping, Sequence

    from .faults import Call, Faults
    from .kubernetes_kubelet import RunningPod


class KubernetesCluster(ClusterView):
    """A cluster in a folder, and what a test can do to it."""

    def __init__(self, folder: Path, nodes: Sequence[Node]) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        store = Store()
        kubelet = Kubelet(store, folder / "pods")
        self.api = KubernetesApi(store, kubelet)
        super().__init__(store, kubelet, Controllers(self.api))
        folder.mkdir(parents=True, exist_ok=True)
        tls, self._certificate = loopback_tls(folder)
        self.server = ApiServer(self.api, tls)
        for node in nodes:
            self.store.add("nodes", node.resource())
        for name in ("default", "kube-system"):
            self.add_namespace(name)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    @property
    def image_environment(self) -> dict[str, str]:
        """The variables that every image sets; may be changed."""
        return self.kubelet.image_environment

    @property
    def faults(self) -> Faults:
        """What befalls requests; may be changed."""
        return self.server.faults

    @property
    def calls(self) -> list[Call]:
        """Every request so far."""
        return self.server.calls

    def counts(self) -> Counter[str]:
        """Return how many requests there were of each kind: `GET jobs`, `WATCH pods`."""
        return self.server.counts()

    def start(self) -> None:
        """Start everything, with a token in the kubeconfig."""
        self.expire_token()
        self.write_kubeconfig()
        self.server.up()
        self.controllers.start()

    def stop(self) -> None:
        """End everything; pods are killed."""
        self.controllers.stop()
        self.server.close()
        for failure in (self.controllers.failure, self.server.failure):
            if failure is not None:
                raise failure

    # What a test plants

    def add_namespace(self, name: str) -> None:
        meta = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        head = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
        self.store.add("namespaces", {**head, "spec": {}, "status": {"phase": "Active"}})

    def add_node(self, node: Node) -> None:
        self.store.add("nodes", node.resource())

    def add_secret(self, name: str, values: Mapping[str, str], namespace: str = "default") -> None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        meta = {"name": name, "namespace": namespace}
        head = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta}
        self.store.add("secrets", {**head, "data": data})

    def unpullable(self, *prefixes: str) -> None:
        """Let images whose names begin so not be pulled, from now on; others are."""
        self.kubelet.unpullable = set(prefixes)

    # What a test does to it

    def evict(self, pod: str, namespace: str = "default") -> None:
        """Evict a pod as the eviction API does: SIGTERM, and it is the cluster's fault."""
        evict(self.store, self.pod(pod, namespace))

    def oom(self, pod: str, container: str = "", namespace: str = "default") -> None:
        """Kill a container as at its memory limit: 137, OOMKilled, and it is its own fault."""
        self._running(pod, namespace).run_out_of_memory(container)

    def lose_node(self, name: str) -> None:
        """Lose a node with all that runs on it: its pods have no exit code."""
        with self.store.changed:
            for pod in self.objects("Pod"):
                if pod["spec"].get("nodeName") == name:
                    if (running := self.kubelet.find(pod)) is not None:
                        running.lose()
                    self.store.change("pods", pod, _lose_sight)
            node = self.store.get("nodes", "", name)
            assert node is not None
            self.store.drop("nodes", node)

    def preempt_node(self, name: str, grace: float = 15.0) -> None:
        """Shut a node down, as a spot machine is: SIGTERM, seconds, SIGKILL, and it is gone."""
        pods = [pod for pod in self.objects("Pod") if pod["spec"].get("nodeName") == name]
        running = [each for each in map(self.kubelet.find, pods) if each is not None]
        with self.store.changed:  # first, so that nothing new is put there
            node = self.store.get("nodes", "", name)
            assert node is not None
            self.store.change("nodes", node, lambda node: node["spec"].update(unschedulable=True))
        for each in running:
            each.shut_down(grace)
        for each in running:
            each.thread.join()
        self.lose_node(name)

    def refuse_pods(self, count: int) -> None:
        """Let nodes refuse the next pods: they fail without an exit code, by no disruption."""
        self.kubelet.refusals = count

    def down(self) -> None:
        """Let the API server be gone: connections are cut and refused; pods go on."""
        self.server.down()

    def up(self) -> None:
        """Let the API server be there again, on the same port."""
        self.server.up()

    def slow(self, seconds: float) -> None:
        """Let each request wait so long for its answer."""
        self.server.faults.latency = seconds

    def throttle(self, requests: int, retry_after: int = 1) -> None:
        """Answer the next requests with 429, and after how many seconds to try again."""
        self.server.retry_after, self.server.throttled = retry_after, requests

    def expire_token(self) -> None:
        """Refuse the token that clients have; `write_kubeconfig` tells them the new one."""
        self.server.token = uuid4().hex

    def compact(self) -> None:
        """Forget the past: watches that begin there, and those that lag, are told 410."""
        self.store.compact()

    def heal(self) -> None:
        """Let all be well, and forget the calls."""
        self.server.up()
        self.throttle(0)
        self.faults.clear()
        self.calls.clear()
        self.unpullable()

    def write_kubeconfig(self, namespace: str = "default") -> None:
        """Write the kubeconfig, with the token that is good now."""
        name = "stand-in"
        context = {"cluster": name, "user": name, "namespace": namespace}
        trusted = base64.b64encode(self._certificate).decode()
        cluster = {"server": self.url, "certificate-authority-data": trusted}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self.server.token}}],
            "contexts": [{"name": name, "context": context}],
        }
        self.kubeconfig.write_text(json.dumps(config))  # which is YAML
        self.kubeconfig.chmod(0o600)

    def _running(self, pod: str, namespace: str) -> RunningPod:
        running = self.kubelet.find(self.pod(pod, namespace))
        assert running is not None, pod
        return running


def _lose_sight(pod: Object) -> None:
    set_condition(pod, "Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting status.")


@contextmanager
def kubernetes_cluster(
    folder: Path, nodes: Sequence[Node] = (Node("n1"), Node("n2"))
) -> Iterator[KubernetesCluster]:
    """Run a cluster in a folder."""
    cluster = KubernetesCluster(folder, nodes)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def main() -> None:
    """Run a cluster until interrupted."""
    parser = argparse.ArgumentParser(description="a small Kubernetes for tests")
    parser.add_argument("folder", type=Path, help="where its files are")
    with kubernetes_cluster(parser.parse_args().folder) as cluster:
        print(f"export KUBECONFIG={cluster.kubeconfig}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
