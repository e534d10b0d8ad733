"""Events of the tests' Kubernetes: what its parts tell of an object."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from .kubernetes_resources import Object, now

if TYPE_CHECKING:
    from .kubernetes_store import Store

_BAD = ("BackOff", "Failed", "FailedScheduling", "BackoffLimitExceeded", "DeadlineExceeded")


def record(store: Store, about: Object, reason: str, message: str, source: str = "") -> None:
    """Write an event, or count one more where it has been written before."""
    meta = about["metadata"]
    namespace = meta.get("namespace", "default")
    told = hashlib.sha1(f"{meta['uid']} {reason} {message}".encode(), usedforsecurity=False)
    name = f"{meta['name']}.{told.hexdigest()[:16]}"
    with store.changed:
        if (there := store.get("events", namespace, name)) is not None:
            store.change("events", there, _count)
            return
        is_bad = reason in _BAD or reason.startswith(("Failed", "PodFailurePolicy"))
        moment = now()
        store.add(
            "events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": {
                    "apiVersion": about["apiVersion"],
                    "kind": about["kind"],
                    "name": meta["name"],
                    "namespace": namespace,
                    "uid": meta["uid"],
                },
                "reason": reason,
                "message": message,
                "type": "Warning" if is_bad else "Normal",
                "source": {"component": source or "kubelet"},
                "firstTimestamp": moment,
                "lastTimestamp": moment,
                "count": 1,
            },
        )


def _count(event: Object) -> None:
    event["count"] += 1
    event["lastTimestamp"] = now()
