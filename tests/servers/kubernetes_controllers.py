"""What goes on in the tests' Kubernetes by itself: one loop over all controllers.

It looks at everything after each change, so it needs no queue: a cluster of a test is small.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from .kubernetes_deletion import collect_garbage, collect_lost_pods
from .kubernetes_jobs import JobController
from .kubernetes_jobsets import JobSetController
from .kubernetes_nodes import schedule

if TYPE_CHECKING:
    from .kubernetes_api import KubernetesApi

_LONGEST_PAUSE = 60.0


class Controllers:
    """The controllers, scheduler and kubelet of a cluster, in a thread of their own."""

    def __init__(self, api: KubernetesApi) -> None:
        self._store, self._kubelet = api.store, api.kubelet
        self.jobs = JobController(api.store)
        self.jobsets = JobSetController(api.store, api.create)
        self.failure: BaseException | None = None
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the loop, and then all pods."""
        self._is_over = True
        with self._store.changed:
            self._store.changed.notify_all()
        self._thread.join()
        self._kubelet.stop()

    def _run(self) -> None:
        try:
            with self._store.changed:
                while not self._is_over:
                    seen = self._store.version
                    due = self._sync()
                    if self._store.version == seen and not self._is_over:
                        self._store.changed.wait(min(due, _LONGEST_PAUSE))
        except BaseException as error:  # noqa: BLE001 - for who waits for the cluster
            self.failure = error
            with self._store.changed:
                self._store.changed.notify_all()

    def _sync(self) -> float:
        collect_garbage(self._store)
        collect_lost_pods(self._store)
        due = min(self.jobsets.sync(), self.jobs.sync(), math.inf)
        schedule(self._store)
        self._kubelet.sync()
        return due
