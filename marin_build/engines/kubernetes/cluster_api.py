"""Requests to a cluster by the official client: its logins, its transport, plain JSON.

Of the client only what is the same in all its releases is used: how it reads a kubeconfig, and one
function that sends a request. Its typed models are left out: they know one release of the API, and
JobSet none.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from marin_build.engines.kubernetes.api_errors import (
    EXPIRED,
    MISSING,
    ApiError,
    away,
    read_error,
)
from marin_build.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.engines.kubernetes.json_objects import Object

PATHS = {
    "Job": "/apis/batch/v1/namespaces/{namespace}/jobs",
    "JobSet": "/apis/jobset.x-k8s.io/v1alpha2/namespaces/{namespace}/jobsets",
    "Pod": "/api/v1/namespaces/{namespace}/pods",
    "Event": "/api/v1/namespaces/{namespace}/events",
}
"""A kind -> where its objects are."""
_PATIENCE = (5.0, 60.0)
"""Seconds to connect, and to wait for an answer."""
_PAGE = 500
"""Objects in one answer of a list, as kubectl asks for them."""
_LIST_TRIES = 3
"""How often a list begins anew whose pages have expired, after minutes."""
_IN_CLUSTER = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class ClusterApi:
    """One namespace of the cluster that a kubeconfig, or the pod around this process, names.

    Args:
        context: of the kubeconfig; None: its current one, or the cluster this process runs in.
        namespace: None: that of the context, or of the pod.

    """

    def __init__(self, context: str | None, namespace: str | None) -> None:
        self._context, self._given = context, namespace
        self._client: Any = None
        self._was_open = False
        self._namespace = namespace or "default"

    @property
    def namespace(self) -> str:
        """The namespace; that of a context is known after the first request."""
        return self._namespace

    def list_all(self, kind: str, *, labels: str = "", fields: str = "") -> list[Object]:
        """Return the objects of a kind with these labels: all that there are at one moment.

        Raises:
            ApiError: there is no such list.

        """
        for _ in range(_LIST_TRIES):
            try:
                return self._pages(kind, {"label_selector": labels, "field_selector": fields})
            except ApiError as error:
                if error.status != EXPIRED:
                    raise
        raise away(ApiError(EXPIRED, "a list is too old before its last page is read"))

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, or None if there is none of that name.

        Raises:
            ApiError: it cannot be read.

        """
        try:
            return self._read("get", self._path(kind, name))
        except ApiError as error:
            if error.status != MISSING:
                raise
            return None

    def create(self, kind: str, body: Object, *, dry_run: bool = False) -> Object:
        """Create an object; or only have the server check it.

        Raises:
            ApiError: it was not created.

        """
        options = {"dry_run": "All"} if dry_run else {}
        return self._read("post", self._path(kind), body=body, **options)

    def delete(self, kind: str, name: str, *, uid: str = "", **options: Any) -> None:
        """Delete an object.

        Args:
            kind, name: which one.
            uid: only that one; empty: whichever has the name.
            options: `propagation_policy`, `grace_period_seconds`.

        Raises:
            ApiError: it was not deleted, or is not there.

        """
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid:
            body["preconditions"] = {"uid": uid}
        self._send("delete", self._path(kind, name), body=body, **options)

    def evict(self, pod: str) -> None:
        """Evict a pod, as a drained node does.

        Raises:
            ApiError: it was not evicted.

        """
        metadata = {"name": pod, "namespace": self.namespace}
        body: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        self._send("post", f"{self._path('Pod', pod)}/eviction", body=body)

    def log(self, pod: str, lines: int, limit: int) -> bytes:
        """Return the end of what a pod printed.

        Args:
            pod: its name.
            lines: how many at most.
            limit: bytes at most, of which the last ones are missing then.

        Raises:
            ApiError: there is none.

        """
        query = [("tailLines", str(lines)), ("limitBytes", str(limit))]
        accepted = {"Accept": "*/*"}
        path = f"{self._path('Pod', pod)}/log"
        return self._send("get", path, query_params=query, header_params=accepted)

    def _pages(self, kind: str, selectors: Mapping[str, str]) -> list[Object]:
        found: list[Object] = []
        options: dict[str, Any] = {key: value for key, value in selectors.items() if value}
        while True:
            page = self._read("get", self._path(kind), limit=_PAGE, **options)
            items = page.get("items")
            found += [each for each in items or () if isinstance(each, dict)]
            metadata = page.get("metadata")
            more = metadata.get("continue") if isinstance(metadata, dict) else None
            if not more:
                return found
            options["_continue"] = more

    def _path(self, kind: str, name: str = "") -> str:
        self._open()  # the namespace may be that of the context
        path = PATHS[kind].format(namespace=self._namespace)
        return f"{path}/{name}" if name else path

    def _read(self, method: str, path: str, **options: Any) -> Object:
        data = self._send(method, path, **options)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise away(ApiError(0, "what it answers is no JSON"))
        return found

    def _send(self, method: str, path: str, **options: Any) -> bytes:
        """Send a request; with credentials that have ended, once more with those of now.

        Raises:
            ApiError: an answer that is no success.
            QueueAwayError: no answer, or no login that is accepted.

        """
        refused: ApiError | None = None
        for _ in range(2):
            is_fresh = self._client is None
            try:
                return self._try(method, path, options)
            except ApiError as error:
                if not error.is_about_login:
                    raise
                self._client, refused = None, error
                if is_fresh:
                    break
        assert refused is not None
        raise away(refused)

    def _try(self, method: str, path: str, options: Mapping[str, Any]) -> bytes:
        client = self._open()
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer = client.request(
                method, path, serialize=False, _request_timeout=_PATIENCE, **options
            )
            data: bytes = answer.data
        except ApiException as error:
            found = read_error(error.status or 0, error.body, str(error.reason or "no reason"))
            if found.status == 0:  # a certificate that does not fit
                raise away(found) from error
            raise found from error
        except (HTTPError, OSError) as error:
            raise away(ApiError(0, _reason(error))) from error
        return data

    def _open(self) -> Any:
        """Return what sends requests, with the credentials of now if they are not read yet.

        Raises:
            UsageError: the client is not installed, or no cluster is configured.
            QueueAwayError: a cluster was configured, and is not now.

        """
        if self._client is None:
            try:
                self._client, namespace = _open_client(self._context)
            except UsageError as error:
                if self._was_open:  # a login that is written anew just now fails no run
                    raise away(ApiError(0, error.with_reason)) from error
                raise
            self._was_open = True
            self._namespace = self._given or namespace
        return self._client


def _open_client(context: str | None) -> tuple[Any, str]:
    """Return what sends requests, and the namespace that its login names."""
    try:
        from kubernetes.client import ApiClient, Configuration
        from kubernetes.config import ConfigException
        from kubernetes.dynamic import DynamicClient
    except ImportError as error:
        raise UsageError(
            "the client of Kubernetes is not installed here",
            facts=[("reason", str(error))],
            consequence="nothing was submitted",
            hint="pip install 'marin-build[kubernetes]'",
        ) from error
    configuration = Configuration()
    configuration.retries = 0  # `apply` tries again itself, and says so
    try:
        namespace = _log_in(configuration, context)
    except (ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            "no cluster is configured here",
            facts=[("reason", _reason(error)), *([("context", context)] if context else [])],
            consequence="nothing was submitted",
            hint="try `kubectl cluster-info`; `kubernetes.context` names a context of kubeconfig",
        ) from error
    # Without a discoverer it asks the server for nothing: the paths are known.
    return DynamicClient(ApiClient(configuration), discoverer=lambda *_: None), namespace


def _log_in(configuration: Any, context: str | None) -> str:
    """Fill a configuration from kubeconfig, or from the pod around us; return the namespace."""
    from kubernetes.config import kube_config, load_incluster_config

    places = kube_config.KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep)
    if context is None and not any(os.path.exists(os.path.expanduser(each)) for each in places):
        load_incluster_config(client_configuration=configuration)
        return _namespace_of_pod()
    kube_config.load_kube_config(
        context=context, client_configuration=configuration, persist_config=False
    )
    contexts, current = kube_config.list_kube_config_contexts()
    named = {each["name"]: each["context"] for each in contexts}
    chosen = current["context"] if context is None else named[context]
    return str(chosen.get("namespace") or "default")


def _namespace_of_pod() -> str:
    with open(_IN_CLUSTER, encoding="ascii") as stream:
        return stream.read().strip()


def _reason(error: BaseException) -> str:
    """Return why a request failed, without the address of an object in memory before it."""
    cause = getattr(error, "reason", None)
    text = str(cause if isinstance(cause, Exception) else error)
    return text.rpartition(": ")[2] if text.startswith("<") else text or type(error).__name__
