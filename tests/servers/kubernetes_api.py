"""The API of the tests' Kubernetes as a function from requests to answers.

Source: the API concepts of Kubernetes 1.36: verbs, `Status`, resource versions, selectors, pages,
dry runs, watches. Not known, and said so with 501: the deletion of collections, `exec`.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml

from .kubernetes_checks import body_object, check_change, prepared, select_own_pods
from .kubernetes_deletion import delete, evict
from .kubernetes_discovery import discover
from .kubernetes_logs import log_text
from .kubernetes_patches import APPLY, patched
from .kubernetes_resources import (
    BY_NAME,
    ApiError,
    Object,
    Resource,
    bad_request,
    conflict,
    expired,
    not_found,
    unknown_here,
)
from .kubernetes_selectors import selector_of
from .kubernetes_store import random_suffix
from .kubernetes_watch import Watch

if TYPE_CHECKING:
    from .kubernetes_kubelet import Kubelet
    from .kubernetes_store import Store

_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[^/]+)/(?P<version>[^/]+))"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?"
)


@dataclass(frozen=True, slots=True)
class Request:
    """A request, parsed."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str = ""
    body: bytes = b""

    def document(self) -> Any:
        """Return what its body says; nothing if it is empty.

        Raises:
            ApiError: it is no JSON, nor YAML where that may be.

        """
        if not self.body:
            return {}
        try:
            return (yaml.safe_load if "yaml" in self.content_type else json.loads)(self.body)
        except (ValueError, yaml.YAMLError) as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error

    @property
    def is_strict(self) -> bool:
        return self.query.get("fieldValidation") == "Strict"

    @property
    def is_dry(self) -> bool:
        return self.query.get("dryRun") == "All"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a document, a text, or what is watched."""

    document: Object | None = None
    status: int = 200
    text: bytes | None = None
    watch: Watch | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Target:
    resource: Resource
    namespace: str
    name: str
    sub: str


class KubernetesApi:
    """The API as a function of requests; one at a time, so that each is atomic."""

    def __init__(self, store: Store, kubelet: Kubelet) -> None:
        self.store, self.kubelet = store, kubelet

    def answer(self, request: Request) -> Answer:
        """Do what a request asks."""
        try:
            with self.store.changed:
                return self._route(request)
        except ApiError as error:
            return Answer(error.status, error.code)

    def create(self, new: Object, *, dry: bool = False, is_strict: bool = False) -> Object:
        """Store a new object, as a server does.

        Raises:
            ApiError: it is refused.

        """
        resource = next(each for each in BY_NAME.values() if each.kind == new["kind"])
        made = prepared(resource, new, is_strict=is_strict)
        if resource.name not in ("pods", "events"):
            made.pop("status", None)
        if resource.name == "jobs":
            made["status"] = {}
        meta = made["metadata"]
        meta["name"] = meta.get("name") or meta["generateName"] + random_suffix()
        meta["uid"] = str(uuid4())
        if resource.name == "jobs":
            select_own_pods(made)
        with self.store.changed:
            is_there = self.store.get(resource.name, meta.get("namespace", ""), meta["name"])
            return made if dry and not is_there else self.store.add(resource.name, made)

    def _route(self, request: Request) -> Answer:
        if (found := discover(request.path)) is not None:
            return Answer(found)
        target = self._target(request.path)
        match request.method, target.name, target.sub:
            case "GET", "", "":
                return self._list(request, target)
            case "GET", _, "" | "status":
                return Answer(self._there(target))
            case "GET", _, "log":
                return Answer(text=log_text(self.kubelet, self._there(target), request.query))
            case "POST", "", "":
                return self._create(request, target)
            case "POST", _, "eviction":
                evict(self.store, self._there(target))
                return Answer({"kind": "Status", "apiVersion": "v1", "status": "Success"}, 201)
            case "PUT", _, "" | "status":
                return self._replace(request, target)
            case "PATCH", _, "" | "status":
                return self._patch(request, target)
            case "DELETE", "", "":
                raise unknown_here("the deletion of a collection")
            case "DELETE", _, "":
                return self._delete(request, target)
            case method, _, _:
                raise unknown_here(f"{method} {request.path}")

    def _target(self, path: str) -> _Target:
        found = _PATH.fullmatch(path)
        resource = BY_NAME.get(found["resource"]) if found else None
        if (
            found is None
            or resource is None
            or (found["group"] or "") != resource.group
            or (found["version"] or "v1") != resource.version
        ):
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        sub = found["sub"] or ""
        if sub and sub not in resource.subresources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return _Target(resource, found["namespace"] or "", found["name"] or "", sub)

    def _there(self, target: _Target) -> Object:
        found = self.store.get(target.resource.name, target.namespace, target.name)
        if found is None:
            raise not_found(target.resource, target.name)
        return found

    def _list(self, request: Request, target: _Target) -> Answer:
        resource, query = target.resource, request.query
        chosen = selector_of(
            resource.name, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        if query.get("watch") in ("true", "1", "True"):
            return Answer(watch=Watch(self.store, resource, target.namespace, chosen, query))
        found = [each for each in self.store.list(resource.name, target.namespace) if chosen(each)]
        meta: Object = {"resourceVersion": str(self.store.version)}
        if token := query.get("continue"):
            version, after = json.loads(base64.urlsafe_b64decode(token))
            if version < self.store.oldest:
                raise expired(version, self.store.oldest)
            found = [each for each in found if _place(each) > tuple(after)]
            meta["resourceVersion"] = str(version)
        limit = int(query.get("limit") or 0)
        if 0 < limit < len(found):
            left, found = len(found) - limit, found[:limit]
            mark = json.dumps([int(meta["resourceVersion"]), _place(found[-1])])
            meta["continue"] = base64.urlsafe_b64encode(mark.encode()).decode()
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                meta["remainingItemCount"] = left
        kind = f"{resource.kind}List"
        head = {"kind": kind, "apiVersion": resource.api_version, "metadata": meta}
        return Answer({**head, "items": found})

    def _create(self, request: Request, target: _Target) -> Answer:
        new = body_object(target.resource, request.document(), target.namespace)
        self._check_namespace(target)
        made = self.create(new, dry=request.is_dry, is_strict=request.is_strict)
        return Answer(made, 201)

    def _check_namespace(self, target: _Target) -> None:
        is_there = self.store.get("namespaces", "", target.namespace) is not None
        if target.resource.namespaced and not is_there:
            raise not_found(BY_NAME["namespaces"], target.namespace)

    def _replace(self, request: Request, target: _Target) -> Answer:
        new = body_object(target.resource, request.document(), target.namespace)
        return self._store(request, target, self._there(target), new)

    def _patch(self, request: Request, target: _Target) -> Answer:
        kind = request.content_type.partition(";")[0].strip()
        there = self.store.get(target.resource.name, target.namespace, target.name)
        if there is None:
            if kind != APPLY:
                raise not_found(target.resource, target.name)
            return self._create(request, target)
        patch = request.document()
        new = patched(there, patch, kind, is_custom=target.resource.is_custom)
        if isinstance(patch, dict) and "resourceVersion" not in patch.get("metadata", {}):
            new["metadata"].pop("resourceVersion", None)
        return self._store(request, target, there, new)

    def _store(self, request: Request, target: _Target, there: Object, new: Object) -> Answer:
        """Store a new state: of the status alone, or of all but the status."""
        name, made = target.resource.name, copy.deepcopy(there)
        version = new["metadata"].get("resourceVersion", "")
        if version and version != there["metadata"]["resourceVersion"]:
            raise conflict(target.resource, target.name)
        if target.sub == "status":
            made["status"] = new.get("status", {})
        else:
            made = {**new, "metadata": {**there["metadata"], **new["metadata"]}}
            for field_name in ("uid", "creationTimestamp", "generation", "deletionTimestamp"):
                if field_name in there["metadata"]:
                    made["metadata"][field_name] = there["metadata"][field_name]
            for field_name in ("labels", "annotations", "finalizers", "ownerReferences"):
                if field_name not in new["metadata"]:
                    made["metadata"].pop(field_name, None)
            if "status" in there:
                made["status"] = there["status"]
            made = prepared(target.resource, made, is_strict=request.is_strict, is_new=False)
            check_change(target.resource, there, made)
            made["status"] = there.get("status", {})
        return Answer(made if request.is_dry else self.store.put(name, made))

    def _delete(self, request: Request, target: _Target) -> Answer:
        there, options = self._there(target), request.document()
        conditions = options.get("preconditions") or {}
        uid = conditions.get("uid", there["metadata"]["uid"])
        if uid != there["metadata"]["uid"]:
            text = f"Precondition failed: UID in precondition: {uid}, UID in object meta: "
            raise conflict(target.resource, target.name, text + there["metadata"]["uid"])
        version = conditions.get("resourceVersion", there["metadata"]["resourceVersion"])
        if version != there["metadata"]["resourceVersion"]:
            raise conflict(target.resource, target.name)
        propagation = options.get("propagationPolicy") or request.query.get("propagationPolicy", "")
        grace = options.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        if not request.is_dry and not options.get("dryRun"):
            seconds = None if grace is None else int(grace)
            there = delete(self.store, target.resource.name, there, propagation, seconds)
            if self.store.get(target.resource.name, target.namespace, target.name) is not None:
                return Answer(there)
        if target.resource.name == "pods":
            return Answer(there)
        details = {"name": target.name, "group": target.resource.group}
        details |= {"kind": target.resource.name, "uid": there["metadata"]["uid"]}
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return Answer({**head, "details": details})


def _place(thing: Object) -> tuple[str, str]:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]
