"""A small Cloud TPU API, and machines that boot: queued resources for tests.

A stand-in, because nothing of it can be installed. It follows the reference of the Cloud TPU API v2
(https://cloud.google.com/tpu/docs/reference/rest/v2/projects.locations.queuedResources): Google's
own types read each body, lists come in pages, states follow one another with each look, and what
was preempted stays in the list. A machine is the startup script in a process namespace of its own,
with a metadata server; it has neither chips nor docker.
"""

from __future__ import annotations

import json
import re
import secrets
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from google.cloud import tpu_v2
from google.protobuf import json_format

from .tpu_machines import Machine
from .tpu_resources import PARENT, STATES, ZONE, ApiError, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"
_HOSTS = {"v4-8": 1, "v4-16": 2}
_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


class TpuCloud:
    """The API on a port of the loopback, and the machines.

    Args:
        folder: for the disks of the machines.
        environment: what programs on the machines find.

    Attributes:
        has_capacity: whether requests that wait get machines.
        faults: the next answers to a method of HTTP; with the code 0 an answer is lost.
        port: where it is served (tpu_http.py).
        calls: the method and the path of each request, and the status of its answer.

    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.has_capacity = True
        self.faults: dict[str, list[ApiError]] = {}
        self.calls: list[tuple[str, str, int]] = []
        self.resources: dict[str, Resource] = {}
        self.ended: list[Resource] = []
        self._folder, self._environment = folder, dict(environment)
        folder.mkdir()
        self._lock = threading.RLock()
        self.port = 0
        self._threads: list[threading.Thread] = []
        # Machines end with the thread that starts them: not with that of a connection.
        self._power = ThreadPoolExecutor(1, "power")

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {ENDPOINT: self.url, "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true"}

    def preempt(self, id_: str, initiator: str = "SERVICE") -> None:
        """Take the machines of a queued resource away."""
        with self._lock:
            resource = self.resources[id_]
            for machine in resource.machines:
                machine.stop()
            resource.node_state, resource.initiator = "PREEMPTED", initiator
            resource.states += ["SUSPENDING", "SUSPENDED"]

    def boot(self, machine: Machine) -> None:
        """Start a machine, for the first time or again."""
        self._power.submit(machine.boot).result()

    def fail(self, id_: str, message: str) -> None:
        """Give a request up."""
        with self._lock:
            self.resources[id_].message = message
            self.resources[id_].states.append("FAILED")

    def stop(self) -> None:
        """End all machines."""
        with self._lock:
            for resource in self.resources.values():
                for machine in resource.machines:
                    machine.stop()
        for thread in self._threads:
            thread.join()
        self._power.shutdown()

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Return the answer to a request."""
        parts = urlsplit(path)
        query = dict(parse_qsl(parts.query))
        if parts.path.startswith("/vm/"):
            if headers.get("Metadata-Flavor") != "Google":
                raise ApiError(403, "Metadata-Flavor")
            return self._metadata(method, parts.path.removeprefix("/vm/"), body.decode())
        with self._lock:
            return self._api(method, parts.path, query, json.loads(body) if body else None)

    def _api(self, method: str, path: str, query: dict[str, str], body: Any) -> Any:
        what, _, id_ = path.removeprefix(f"/v2/{PARENT}/").partition("/")
        if what not in {"queuedResources", "nodes"}:
            raise ApiError(404, f"no such path: {path}")
        if method == "GET" and not id_:
            return self._list(what, query)
        if method == "POST" and what == "queuedResources":
            return self._create(query.get("queuedResourceId", ""), body)
        if method == "POST" and id_.endswith(":getGuestAttributes"):
            return self._guest_attributes(id_.removesuffix(":getGuestAttributes"), body)
        if id_ not in self.resources or what != "queuedResources":
            raise ApiError(404, f"Resource '{PARENT}/{what}/{id_}' was not found")
        if method == "DELETE":
            return self._delete(self.resources[id_], query)
        self._advance(self.resources[id_])
        return self.resources[id_].row

    def _list(self, what: str, query: dict[str, str]) -> Any:
        first = int(query.get("pageToken", "0"))
        if what == "queuedResources" and not first:
            for resource in self.resources.values():
                self._advance(resource)
        rows: list[dict[str, Any]] = [resource.row for resource in self.resources.values()]
        if what == "nodes":
            rows = [
                {"name": f"{PARENT}/nodes/{node}", "state": resource.node_state}
                for resource in self.resources.values()
                for node in resource.nodes
            ]
        more = {"nextPageToken": str(first + 1)} if first + 1 < len(rows) else {}
        return {what: rows[first : first + 1], **more} if rows else {}

    def _create(self, id_: str, body: Any) -> Any:
        try:
            resource = tpu_v2.QueuedResource.pb(tpu_v2.QueuedResource())
            json_format.ParseDict(body, resource, ignore_unknown_fields=False)
        except json_format.ParseError as error:
            raise ApiError(400, f"Invalid JSON payload received: {error}") from error
        (spec,) = body["tpu"]["nodeSpec"]
        if spec["parent"] != PARENT or not _ID.fullmatch(id_):
            raise ApiError(400, f"Invalid value: {id_} in {spec['parent']}")
        if id_ in self.resources:
            raise ApiError(409, f"Resource '{PARENT}/queuedResources/{id_}' already exists")
        self.resources[id_] = Resource(id_, body)
        return {"name": f"{PARENT}/operations/{id_}", "done": False}

    def _advance(self, resource: Resource) -> None:
        if resource.state not in STATES[:-1]:
            return
        if resource.state == "WAITING_FOR_RESOURCES" and not self.has_capacity:
            return
        resource.states.append(STATES[STATES.index(resource.state) + 1])
        if resource.state == "ACTIVE":
            self._boot(resource)

    def _boot(self, resource: Resource) -> None:
        (spec,) = resource.body["tpu"]["nodeSpec"]
        hosts = _HOSTS[spec["node"]["acceleratorType"]]
        slices = spec.get("multisliceParams")
        ids = [spec["nodeId"]] if slices is None else []
        if slices is not None:
            ids = [f"{slices['nodeIdPrefix']}-{number}" for number in range(slices["nodeCount"])]
        for slice_, node in enumerate(ids):
            resource.nodes[node] = [
                self._machine(spec["node"]["metadata"], node, worker, hosts, slice_)
                for worker in range(hosts)
            ]
        for machine in resource.machines:
            self.boot(machine)

    def _machine(
        self, metadata: dict[str, str], node: str, worker: int, hosts: int, slice_: int
    ) -> Machine:
        endpoints = ",".join(f"unknown:unknown:10.{slice_}.0.{k}" for k in range(hosts))
        multislice = (
            f"MEGASCALE_COORDINATOR_ADDRESS: '10.0.0.0:8080'\nMEGASCALE_SLICE_ID: '{slice_}'\n"
        )
        attributes = {
            **metadata,
            "agent-worker-number": str(worker),
            "worker-network-endpoints": endpoints,
            "tpu-env": f"ZONE: '{ZONE}'\n{multislice}",
        }
        address = f"127.0.0.1:{self.port}/vm/{node}/{worker}"
        environment = {**self._environment, "GCE_METADATA_HOST": address, ENDPOINT: self.url}
        disk = Path(tempfile.mkdtemp(prefix=f"{node}-{worker}-", dir=self._folder))
        return Machine(disk, attributes, environment)

    def _guest_attributes(self, node: str, body: Any) -> Any:
        request = tpu_v2.GetGuestAttributesRequest.pb(tpu_v2.GetGuestAttributesRequest())
        json_format.ParseDict(body, request, ignore_unknown_fields=False)
        machines = [it for one in self.resources.values() for it in one.nodes.get(node, [])]
        if not machines:
            raise ApiError(404, f"Resource '{PARENT}/nodes/{node}' was not found")
        namespace = request.query_path.rstrip("/")
        return {
            "guestAttributes": [
                {
                    "queryPath": request.query_path,
                    "queryValue": {
                        "items": [
                            {"namespace": namespace, "key": path.partition("/")[2], "value": value}
                            for path, value in machine.notes.items()
                            if path.startswith(f"{namespace}/")
                        ]
                    },
                }
                for machine in machines
            ]
        }

    def _delete(self, resource: Resource, query: dict[str, str]) -> Any:
        if resource.nodes and query.get("force") != "true":
            raise ApiError(400, "the queued resource has nodes")
        if resource.state == "DELETING":
            raise ApiError(400, "the queued resource is being deleted")
        resource.states.append("DELETING")

        def end() -> None:
            for machine in resource.machines:
                machine.shut_down()
            with self._lock:
                self.ended.append(self.resources.pop(resource.id))

        thread = threading.Thread(target=end)
        self._threads.append(thread)
        thread.start()
        return {"name": f"{PARENT}/operations/{resource.id}", "done": False}

    def _metadata(self, method: str, path: str, body: str) -> str:
        node, worker, rest = path.split("/", 2)
        rest = rest.removeprefix("computeMetadata/v1/instance/")
        machines = [it for one in self.resources.values() for it in one.nodes.get(node, [])]
        if not machines:
            raise ApiError(404, "this machine is gone")
        machine = machines[int(worker)]
        kind, _, key = rest.partition("/")
        if kind == "attributes" and key in machine.attributes:
            return machine.attributes[key]
        if kind == "guest-attributes" and machine.attributes["enable-guest-attributes"] == "TRUE":
            if method == "PUT":
                machine.notes[key] = body
                return ""
            if key in machine.notes:
                return machine.notes[key]
        if rest == "service-accounts/default/token":
            return json.dumps({"access_token": secrets.token_hex(8), "expires_in": 3000})
        raise ApiError(404, f"no such metadata: {rest}")
