"""The stand-in for TPU VMs over HTTP: its API, and the metadata servers of its machines."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from .tpu_resources import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tpu import TpuCloud


@contextmanager
def serving(cloud: TpuCloud) -> Iterator[None]:
    """Answer requests while the block runs, at a port that stays the same."""

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
            if fault is not None and not fault.code:  # it was carried out, and the answer is lost
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

    server = Server(("127.0.0.1", cloud.port), Handler)
    cloud.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
