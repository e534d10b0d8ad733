"""Runs the server: on the loopback only, until it is interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from typing import TYPE_CHECKING

import uvicorn

from marin_build.errors import UsageError
from marin_build.ui.application import Application
from marin_build.ui.guard import LONGEST_ADDRESS, Guard
from marin_build.ui.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.ui.site import Site


ADDRESS = "127.0.0.1"
_MOST_CONNECTIONS = 256
_A_MOMENT = 1
"""Seconds that answers may take when the server is to end."""


def serve(
    site: Site, *, port: int, on_ready: Callable[[str], None], on_note: Callable[[str], None]
) -> None:
    """Serve pages about runs until SIGINT or SIGTERM.

    Args:
        site: what pages are made from.
        port: of the loopback; 0: any that is free.
        on_ready: gets the address for a browser once it can be opened. It holds a secret.
        on_note: gets lines about requests that were refused.

    Raises:
        UsageError: the port is taken, or may not be used.

    """
    with _listening(port) as listener:
        token = secrets.token_urlsafe(24)
        asyncio.run(_serve(site, listener, token, on_ready, on_note))


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listener:
        # Nobody else may listen on the same port: so this must not be SO_REUSEPORT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((ADDRESS, port))
            listener.listen(128)
        except OSError as error:
            raise UsageError(
                f"cannot listen on port {port} of {ADDRESS}: {str(error.strerror).lower()}",
                consequence="nothing is served",
                hint="leave out --port, and a free one is taken",
            ) from error
        yield listener


async def _serve(
    site: Site,
    listener: socket.socket,
    token: str,
    on_ready: Callable[[str], None],
    on_note: Callable[[str], None],
) -> None:
    application = Application(site)
    guard = Guard(application, token, Refusals(on_note).note)
    server = _Server(
        uvicorn.Config(
            guard,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            # Any page could fill the terminal with its warnings. Bugs are told by the guard.
            log_level="critical",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MOST_CONNECTIONS,
            h11_max_incomplete_event_size=4 * LONGEST_ADDRESS,
            timeout_graceful_shutdown=_A_MOMENT,
        )
    )

    def end() -> None:
        application.close()
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    on_ready(f"http://{ADDRESS}:{listener.getsockname()[1]}/{token}/")
    await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to us: open streams must end before the server can."""
        yield
