"""The tests' Kubernetes on a port of the loopback: tokens, faults, throttling, watches."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from .faults import Call, Faults
from .kubernetes_api import Answer, KubernetesApi, Request
from .kubernetes_resources import ApiError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


class ApiServer:
    """Answers requests while it is up; what it knows is in the API, and outlives it.

    `faults` may be changed and `calls` read at any time.
    """

    def __init__(self, api: KubernetesApi, tls: ssl.SSLContext) -> None:
        self.api = api
        self.tls = tls
        self.faults = Faults()
        self.calls: list[Call] = []
        self.token = ""
        self.throttled = 0
        self.failure: BaseException | None = None
        self.retry_after = 1
        # Keeps the port while the server is down: who connects is refused.
        self._place = _bound(0)
        self.port = self._place.getsockname()[1]
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def up(self) -> None:
        """Answer from now on."""
        if self._server is None:
            self._server = _Server(self)
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="api server", daemon=True
            )
            self._thread.start()

    def down(self) -> None:
        """Cut all connections, and refuse new ones."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()
            server.cut()
            with self.api.store.changed:
                self.api.store.changed.notify_all()  # for watches: they are over

    def close(self) -> None:
        """Go down for good."""
        self.down()
        self._place.close()

    def counts(self) -> Counter[str]:
        """Return how many requests there were of each kind: `GET jobs`, `WATCH pods`."""
        return Counter(_kind(call) for call in list(self.calls))


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


def _kind(call: Call) -> str:
    parts = [part for part in call.path.split("/") if part]
    if parts[:1] == ["apis"]:
        parts = parts[3:]
    elif parts[:1] == ["api"]:
        parts = parts[2:]
    if len(parts) > 2 and parts[0] == "namespaces":
        parts = parts[2:]
    name = "/".join([parts[0], *parts[2:]]) if parts else call.path
    return f"{'WATCH' if 'watch' in call.query else call.method} {name}"


def _too_many(retry_after: int) -> Answer:
    """Return what a server says that is asked too much: a text, and no `Status`."""
    text = b"Too many requests, please try again later.\n"
    return Answer(status=429, text=text, headers={"Retry-After": str(retry_after)})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: ApiServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.active = 0
        super().__init__(("127.0.0.1", owner.port), _Handler, bind_and_activate=False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self.server_bind()
        self.server_activate()

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            secured = self.owner.tls.wrap_socket(request, server_side=True)
        except OSError:  # hung up, or does not trust us
            request.close()
            return
        with self._lock:
            self._open.add(secured)
        super().process_request_thread(secured, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a connection that breaks is what some tests are about."""

    def count(self, more: int) -> int:
        with self._lock:
            self.active += more
            return self.active

    def cut(self) -> None:
        with self._lock:
            for each in self._open:
                try:
                    socket.socket.shutdown(each, socket.SHUT_RDWR)
                except OSError:
                    continue

    @property
    def is_over(self) -> bool:
        return self.owner._server is not self


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _serve(self) -> None:
        server = cast("_Server", self.server)
        owner, parts = server.owner, urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        call = Call(self.command, parts.path, query, server.count(1))
        owner.calls.append(call)
        try:
            time.sleep(owner.faults.latency)
            content_type = self.headers.get("Content-Type", "")
            path = unquote(parts.path)
            answer = self._answer(Request(self.command, path, query, content_type, body), call)
            call.status = answer.status
            if server.is_over or call.fault in ("reply", "hang"):
                while call.fault == "hang" and not server.is_over:
                    with owner.api.store.changed:
                        owner.api.store.changed.wait(0.5)
                self.close_connection = True
            elif answer.watch is not None:
                self._stream(answer.watch.lines(lambda: server.is_over))
            else:
                self._send(answer)
        finally:
            server.count(-1)

    def _answer(self, request: Request, call: Call) -> Answer:
        owner = cast("_Server", self.server).owner
        if owner.throttled > 0:
            owner.throttled -= 1
            call.fault = "throttled"
            return _too_many(owner.retry_after)
        fault = owner.faults.strike(call)
        call.fault = "" if fault is None else str(fault)
        if fault == 429:
            return _too_many(owner.retry_after)
        if isinstance(fault, int):
            reason = {500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}.get(fault)
            error = ApiError(fault, reason or "Unknown", "injected by the test")
            return Answer(error.status, fault)
        if self.headers.get("Authorization") != f"Bearer {owner.token}":
            return Answer(ApiError(401, "Unauthorized", "Unauthorized").status, 401)
        if fault == "hang":
            return Answer()
        try:
            return owner.api.answer(request)
        except Exception as error:  # noqa: BLE001 - ours; the test fails at its end
            owner.failure = error
            text = f"the stand-in is broken: {traceback.format_exc()}"
            return Answer(ApiError(500, "InternalError", text).status, 500)

    def _send(self, answer: Answer) -> None:
        is_text = answer.text is not None
        body = answer.text if answer.text is not None else json.dumps(answer.document).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, lines: Iterable[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")
