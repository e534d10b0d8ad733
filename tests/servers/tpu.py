"""A small Cloud TPU API, and machines that boot: queued resources for tests.

A stand-in, because nothing of it can be installed. It follows the reference of the Cloud TPU API v2
(https://cloud.google.com/tpu/docs/reference/rest/v2/projects.locations.queuedResources): Google's
own types read each body, lists come in pages, states follow one another with each look, and what
was preempted stays in the list. A machine is the startup script in a process namespace of its own,
with a metadata server; it has neither chips nor docker.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from google.cloud import tpu_v2
from google.protobuf import json_format

from .programs import tied
from .slurm import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT, ZONE = "my-project", "us-central2-b"
PARENT = f"projects/{PROJECT}/locations/{ZONE}"
ENDPOINT = "CLOUDSDK_API_ENDPOINT_OVERRIDES_TPU"
_HOSTS = {"v4-8": 1, "v4-16": 2}
_STATES = ["CREATING", "ACCEPTED", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"]
_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_SHUTDOWN = 15.0
"""Seconds between the SIGTERM of a shutdown and the end of a machine."""


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(eq=False)
class Machine:
    """One VM of a node.

    Args:
        folder: its disk.
        attributes: its metadata.
        environment: what its scripts find.

    """

    folder: Path
    attributes: dict[str, str]
    environment: dict[str, str]
    notes: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        """Start it: it runs its startup script."""
        (self.folder / "tmp").mkdir(exist_ok=True)
        script = self.folder / "startup-script"
        script.write_text(self.attributes["startup-script"])
        isolated = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        with (self.folder / "console").open("ab") as out:
            self._process = subprocess.Popen(
                tied([*isolated, "bash", str(script)]),
                cwd="/",
                env={
                    **self.environment,
                    "HOME": str(self.folder),
                    "TMPDIR": str(self.folder / "tmp"),
                    "STATE_DIRECTORY": str(self.folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def shut_down(self) -> None:
        """Ask what runs on it to end, then stop it."""
        asked = self._processes()
        for pid in asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with suppress(TimeoutError):
            wait_until(lambda: not asked & self._processes(), _SHUTDOWN)
        self.stop()

    def stop(self) -> None:
        """Stop it at once, and all that runs on it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _processes(self) -> set[int]:
        """Return the processes on it, but for its first."""
        if self._process is None or self._process.poll() is not None:
            return set()
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        found = set()
        with suppress(OSError, IndexError):
            space = os.readlink(f"/proc/{children[0]}/ns/pid")
            for path in Path("/proc").iterdir():
                if path.name.isdigit() and path.name not in children:
                    with suppress(OSError):
                        if os.readlink(path / "ns/pid") == space:
                            found.add(int(path.name))
        return found


@dataclass(eq=False)
class Resource:
    """A queued resource.

    Args:
        id: its id.
        body: of the request that made it.
        states: what it said of itself, the last one now.
        nodes: its machines, by the id of the node.

    """

    id: str
    body: dict[str, Any]
    states: list[str] = field(default_factory=lambda: [_STATES[0]])
    nodes: dict[str, list[Machine]] = field(default_factory=dict)
    node_state: str = "READY"
    initiator: str = "SERVICE"
    message: str = ""

    @property
    def state(self) -> str:
        """Its state."""
        return self.states[-1]

    @property
    def machines(self) -> list[Machine]:
        """All of its machines."""
        return [machine for node in self.nodes.values() for machine in node]

    @property
    def row(self) -> dict[str, Any]:
        """What a list says of it."""
        state: dict[str, Any] = {"state": self.state, "stateInitiator": self.initiator}
        if self.message:
            state["failedData"] = {"error": {"code": 8, "message": self.message}}
        return {**self.body, "name": f"{PARENT}/queuedResources/{self.id}", "state": state}


class TpuCloud:
    """The API on a port of the loopback, and the machines.

    Args:
        folder: for the disks of the machines.
        environment: what programs on the machines find.

    Attributes:
        has_capacity: whether requests that wait get machines.
        faults: the next answers to a method of HTTP; with the code 0 an answer is lost.
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
        self._port = 0
        self._threads: list[threading.Thread] = []
        # Machines end with the thread that starts them: not with that of a connection.
        self._power = ThreadPoolExecutor(1, "power")

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._port}/"

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
        if resource.state not in _STATES[:-1]:
            return
        if resource.state == "WAITING_FOR_RESOURCES" and not self.has_capacity:
            return
        resource.states.append(_STATES[_STATES.index(resource.state) + 1])
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
        address = f"127.0.0.1:{self._port}/vm/{node}/{worker}"
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

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Answer requests while the block runs."""
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_api = self.path.startswith("/v2/")
                faults = cloud.faults.get(self.command, []) if is_api else []
                fault = faults.pop(0) if faults else None
                status = 200
                said: Any = None
                try:
                    if fault is not None and fault.code:
                        raise fault
                    said = cloud.answer(self.command, self.path, dict(self.headers), body)
                except ApiError as error:
                    status = error.code
                    said = {"error": {"code": status, "message": error.message}}
                if is_api:
                    cloud.calls.append((self.command, self.path, status))
                if (
                    fault is not None and not fault.code
                ):  # it was carried out, and the answer is lost
                    self.close_connection = True
                    return
                data = (said if isinstance(said, str) else json.dumps(said)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - names of http.server

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Say nothing of a program that was killed as it asked."""

        server = Server(("127.0.0.1", self._port), Handler)
        self._port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
