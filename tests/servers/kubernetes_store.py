"""What the tests' Kubernetes knows: objects by name, and every change, numbered.

Objects are never changed in place: a reader of one holds a moment. Resource versions are one
count over all kinds, as etcd's are.
"""

from __future__ import annotations

import bisect
import copy
import threading
from collections import defaultdict
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING
from uuid import uuid4

from .kubernetes_resources import BY_NAME, Object, already_exists, conflict, now

if TYPE_CHECKING:
    from collections.abc import Callable

# Without vowels and without what looks alike (k8s.io/apimachinery/pkg/util/rand).
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_random = SystemRandom()


def random_suffix() -> str:
    """Return the five letters that generated names end with."""
    return "".join(_random.choices(_LETTERS, k=5))


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object; `before` is None where it is new, `after` what is sent."""

    version: int
    resource: str
    before: Object | None
    after: Object
    is_gone: bool = False


class Store:
    """All objects. Hold `changed` to look at several of them, or to wait for the next change."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = 1000
        self.oldest = 0
        """Watches may begin at this version or later."""
        self.changes: list[Change] = []
        self._objects: defaultdict[str, dict[tuple[str, str], Object]] = defaultdict(dict)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        with self.changed:
            return self._objects[resource].get((namespace, name))

    def since(self, version: int) -> list[Change]:
        """Return the changes after a version."""
        with self.changed:
            first = bisect.bisect_right(self.changes, version, key=lambda each: each.version)
            return self.changes[first:]

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """Return the objects of a kind, in the order of their namespaces and names."""
        with self.changed:
            found = self._objects[resource]
            return [found[key] for key in sorted(found) if namespace in ("", key[0])]

    def add(self, resource: str, new: Object) -> Object:
        """Store a new object; it is given a version, a time of creation, and a uid if it has none.

        Raises:
            ApiError: there is one of that name.

        """
        with self.changed:
            made = copy.deepcopy(new)
            meta = made["metadata"]
            if (there := self._objects[resource].get(_key(made))) is not None:
                leaving = "deletionTimestamp" in there["metadata"]
                raise already_exists(BY_NAME[resource], meta["name"], is_leaving=leaving)
            meta.setdefault("uid", str(uuid4()))
            meta["creationTimestamp"] = now()
            if resource in ("jobs", "jobsets"):
                meta["generation"] = 1
            return self._write(resource, None, made)

    def put(self, resource: str, new: Object, *, version: str = "") -> Object:
        """Store a new state of an object.

        Args:
            resource: its kind.
            new: the state; one that waits to be deleted, and for nothing more, is dropped.
            version: the one that it must have at the moment; any if empty.

        Raises:
            ApiError: it has another version.

        """
        with self.changed:
            key = _key(new)
            before = self._objects[resource][key]
            if version and version != before["metadata"]["resourceVersion"]:
                raise conflict(BY_NAME[resource], key[1])
            made = copy.deepcopy(new)
            made["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
            if made == before:
                return before
            if "generation" in made["metadata"] and made.get("spec") != before.get("spec"):
                made["metadata"]["generation"] += 1
            if _may_go(resource, made):
                return self.drop(resource, made)
            return self._write(resource, before, made)

    def change(self, resource: str, thing: Object, edit: Callable[[Object], object]) -> Object:
        """Change an object as it is at the moment, unless it is gone, or another in its place."""
        with self.changed:
            there = self._objects[resource].get(_key(thing))
            if there is None or there["metadata"]["uid"] != thing["metadata"]["uid"]:
                return thing
            made = copy.deepcopy(there)
            edit(made)
            return self.put(resource, made)

    def drop(self, resource: str, thing: Object) -> Object:
        """Take an object out."""
        with self.changed:
            before = self._objects[resource].pop(_key(thing), None)
            if before is None:
                return thing
            self.version += 1
            last = copy.deepcopy(thing)
            last["metadata"]["resourceVersion"] = str(self.version)
            self.changes.append(Change(self.version, resource, before, last, is_gone=True))
            self.changed.notify_all()
            return last

    def compact(self) -> None:
        """Forget all changes: watches that begin before this moment are told 410."""
        with self.changed:
            self.changes.clear()
            self.version += 1
            self.oldest = self.version
            self.changed.notify_all()

    def _write(self, resource: str, before: Object | None, after: Object) -> Object:
        self.version += 1
        after["metadata"]["resourceVersion"] = str(self.version)
        self._objects[resource][_key(after)] = after
        self.changes.append(Change(self.version, resource, before, after))
        self.changed.notify_all()
        return after


def _key(thing: Object) -> tuple[str, str]:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def _may_go(resource: str, thing: Object) -> bool:
    meta = thing["metadata"]
    if "deletionTimestamp" not in meta or meta.get("finalizers"):
        return False
    return resource != "pods" or not meta.get("deletionGracePeriodSeconds")
