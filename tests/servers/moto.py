"""S3: moto's application on a port of the loopback, in a process of its own.

moto looks at a condition and then writes, in two steps; S3 does both at once. So requests are
served one at a time.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from collections.abc import Iterable


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as S3 keeps them

    def log(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input ends, so that it cannot outlive who started it."""
    application = DomainDispatcherApplication(create_backend_app)
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        with lock:
            return list(application(environ, start))

    server = make_server(
        "127.0.0.1", 0, one_at_a_time, threaded=True, request_handler=_QuietHandler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
