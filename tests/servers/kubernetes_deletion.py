"""How objects go in the tests' Kubernetes: grace, finalizers, and what they own.

Source: the reference of `DeleteOptions`, and the pages on garbage collection and pod lifecycle. A
Job that is deleted without `propagationPolicy` leaves its pods behind, as batch/v1 does by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kubernetes_pod_status import is_over
from .kubernetes_resources import Object, now, owner_of, set_condition

if TYPE_CHECKING:
    from .kubernetes_store import Store

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
OWNERS = ("jobs", "jobsets")
OWNED = ("jobs", "pods")


def delete(
    store: Store, resource: str, thing: Object, propagation: str = "", grace: int | None = None
) -> Object:
    """Begin to delete an object; return what is left of it, or what it was.

    Args:
        store: everything.
        resource: its kind.
        thing: the object.
        propagation: `Foreground`, `Background`, `Orphan`; the default of its kind if empty.
        grace: seconds for the processes of a pod; what its specification says if None.

    """
    propagation = propagation or ("Orphan" if resource == "jobs" else "Background")

    def begin(thing: Object) -> None:
        meta = thing["metadata"]
        is_new = "deletionTimestamp" not in meta
        meta.setdefault("deletionTimestamp", now())
        if resource == "pods":
            left = _grace_of(thing) if grace is None else grace
            is_idle = not thing["spec"].get("nodeName") or is_over(thing)
            left = 0 if is_idle else left
            before = meta.get("deletionGracePeriodSeconds", left)
            meta["deletionGracePeriodSeconds"] = min(left, before)
        elif is_new and resource in OWNERS:
            finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(propagation)
            if finalizer is not None:
                meta["finalizers"] = [*meta.get("finalizers", []), finalizer]

    return store.change(resource, thing, begin)


def evict(store: Store, pod: Object) -> None:
    """Do what the eviction API does: say why, and delete the pod gracefully."""
    disrupt(store, pod, "EvictionByEvictionAPI", "Eviction API: evicting")
    delete(store, "pods", pod)


def disrupt(store: Store, pod: Object, reason: str, message: str) -> None:
    """Say of a pod that it is ended for no fault of its own."""
    store.change(
        "pods", pod, lambda pod: set_condition(pod, "DisruptionTarget", "True", reason, message)
    )


def remove_finalizer(store: Store, resource: str, thing: Object, finalizer: str) -> None:
    """Take a finalizer from an object; one that waits for nothing else is gone then."""

    def edit(thing: Object) -> None:
        meta = thing["metadata"]
        left = [each for each in meta.get("finalizers", []) if each != finalizer]
        meta.pop("finalizers", None)
        if left:
            meta["finalizers"] = left

    store.change(resource, thing, edit)


def collect_garbage(store: Store) -> None:
    """Let what is owned follow its owner, or stay behind, and owners go when they may."""
    owners = {each["metadata"]["uid"]: each for name in OWNERS for each in store.list(name)}
    owned = [(name, each) for name in OWNED for each in store.list(name)]
    waiting = set()
    for name, thing in owned:
        uid = owner_of(thing)
        if not uid:
            continue
        owner = owners.get(uid)
        finalizers = owner["metadata"].get("finalizers", []) if owner else []
        is_leaving = owner is not None and "deletionTimestamp" in owner["metadata"]
        if is_leaving and ORPHAN in finalizers:
            store.change(name, thing, lambda thing: thing["metadata"].pop("ownerReferences"))
            continue
        if is_leaving and FOREGROUND in finalizers:
            waiting.add(uid)
        follows = owner is None or (is_leaving and FOREGROUND in finalizers)
        if follows and "deletionTimestamp" not in thing["metadata"]:
            delete(store, name, thing, "Foreground" if owner else "Background")
    for name in OWNERS:
        for owner in store.list(name):
            if "deletionTimestamp" in owner["metadata"]:
                remove_finalizer(store, name, owner, ORPHAN)
                if owner["metadata"]["uid"] not in waiting:
                    remove_finalizer(store, name, owner, FOREGROUND)


def collect_lost_pods(store: Store) -> None:
    """Do what the collector of pods does with those whose node is gone."""
    nodes = {node["metadata"]["name"] for node in store.list("nodes")}
    for pod in store.list("pods"):
        node = pod["spec"].get("nodeName")
        if node and node not in nodes:
            if not is_over(pod):
                message = "PodGC: node no longer exists"
                disrupt(store, pod, "DeletionByPodGC", message)
                store.change("pods", pod, lambda pod: pod["status"].update(phase="Failed"))
            delete(store, "pods", pod, grace=0)


def _grace_of(pod: Object) -> int:
    return int(pod["spec"].get("terminationGracePeriodSeconds", 30))
