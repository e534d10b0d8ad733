"""What a test sees of its Kubernetes, without asking the API, and what it can wait for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .kubernetes_resources import BY_KIND, Object, holds
from .slurm import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from .kubernetes_controllers import Controllers
    from .kubernetes_kubelet import Kubelet
    from .kubernetes_store import Store

PATIENCE = 240.0


class ClusterView:
    """Objects and logs as they are at the moment; waiting is for the change, not for a time."""

    def __init__(self, store: Store, kubelet: Kubelet, controllers: Controllers) -> None:
        self.store, self.kubelet, self.controllers = store, kubelet, controllers

    def objects(self, kind: str, namespace: str = "") -> list[Object]:
        """Return the objects of a kind, `Job` say, as they are at the moment."""
        return self.store.list(BY_KIND[kind].name, namespace)

    def find(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """Return an object; None if it is not there."""
        namespace = namespace if BY_KIND[kind].namespaced else ""
        return self.store.get(BY_KIND[kind].name, namespace, name)

    def pods_of(self, job: str, namespace: str = "default") -> list[Object]:
        """Return the pods of a Job, or of all Jobs of a JobSet, by name."""
        keys = ("batch.kubernetes.io/job-name", "jobset.sigs.k8s.io/jobset-name")
        return [
            pod
            for pod in self.objects("Pod", namespace)
            if job in [(pod["metadata"].get("labels") or {}).get(key) for key in keys]
        ]

    def wait_for(self, happens: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for the change after which something is so.

        Raises:
            TimeoutError: it has not happened within so many seconds.

        """
        with self.store.changed:
            found = self.store.changed.wait_for(
                lambda: self.controllers.failure or happens(), patience
            )
            if self.controllers.failure is not None:
                raise self.controllers.failure
            if not found:
                raise TimeoutError(json.dumps(self.objects("Pod"), indent=1)[-4000:])

    def wait_for_pods(
        self, job: str, count: int = 1, phase: str = "Running", namespace: str = "default"
    ) -> list[Object]:
        """Wait until so many pods of a Job or JobSet are in a phase, and return them by name.

        Raises:
            TimeoutError: it has not happened in a minute.

        """

        def those() -> list[Object]:
            return [pod for pod in self.pods_of(job, namespace) if pod["status"]["phase"] == phase]

        self.wait_for(lambda: len(those()) == count)
        return those()

    def wait_for_condition(
        self, kind: str, name: str, condition: str, namespace: str = "default"
    ) -> Object:
        """Wait until a condition of an object is true, and return the object.

        Raises:
            TimeoutError: it has not happened in a minute.

        """
        found: list[Object] = []

        def is_so() -> bool:
            there = self.find(kind, name, namespace)
            found[:] = [there] if there is not None and holds(there, condition) else []
            return bool(found)

        self.wait_for(is_so)
        return found[0]

    def log(self, pod: str, container: str = "", namespace: str = "default") -> str:
        """Return what a container has printed; the first if none is named."""
        found = self.pod(pod, namespace)
        container = container or found["spec"]["containers"][0]["name"]
        path = self.kubelet.log_of(found, container)
        return path.read_text() if path.exists() else ""

    def wait_for_log(self, pod: str, text: str, namespace: str = "default") -> None:
        """Wait until a container has printed something; a file has no event for it.

        Raises:
            TimeoutError: it has not in a minute.

        """
        wait_until(lambda: text in self.log(pod, namespace=namespace), PATIENCE)

    def pod(self, name: str, namespace: str = "default") -> Object:
        """Return a pod that is there."""
        found = self.store.get("pods", namespace, name)
        assert found is not None, name
        return found
