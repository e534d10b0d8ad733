"""A small Cloud Storage: the JSON API over HTTP, for tests and for playing with.

A stand-in, because none that honours preconditions can be installed. It follows the reference of
the JSON API v1 (https://cloud.google.com/storage/docs/json_api/v1), the pages on request
preconditions, on multipart and resumable uploads, and on media downloads: generations and
metagenerations, 412 and 304, strong consistency, listings by pages of at most 1,000. It keeps no
noncurrent generations, checks no credentials, and has no batch endpoint (gcsfs uses none on an
emulator). It is deliberately also a bad network: see `faults.py`.

    python -m tests.servers.gcs --port 4443 --bucket b
    STORAGE_EMULATOR_HOST=http://127.0.0.1:4443 marin-build plan --prefix gs://b/out
"""

from __future__ import annotations

import argparse
import asyncio
import threading
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qsl

from aiohttp import web

from .faults import Call, Faults
from .gcs_api import ApiReply, ApiRequest, GcsApi, document_reply
from .gcs_objects import Refusal

if TYPE_CHECKING:
    from types import TracebackType


class GcsServer:
    """The API on a port of the loopback, served from a thread; a context manager.

    `faults` may be changed and `calls` read by the process that made it, at any time.
    """

    def __init__(self, *buckets: str, port: int = 0) -> None:
        self.api = GcsApi()
        for bucket in buckets:
            self.api.buckets.create(bucket)
        self.faults = Faults()
        self.calls: list[Call] = []
        self.url = ""
        self._port = port
        self._active = 0
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gcs stand-in", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def forget(self) -> None:
        """Forget the calls and let all be well."""
        self.calls.clear()
        self.faults.clear()

    def let_go(self) -> None:
        """Answer the requests that are held, and hold none from now on."""
        self._loop.call_soon_threadsafe(self._let_go.set)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - for who waits for the server; a taken port, say
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._crowded, self._let_go = asyncio.Event(), asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port, backlog=1024)
        try:
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._ready.set()
            await self._over.wait()
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        parsed = dict(parse_qsl(query, keep_blank_values=True))
        self._active += 1
        call = Call(request.method, path, parsed, self._active)
        self.calls.append(call)
        try:
            body = await request.content.read()
            await asyncio.sleep(self.faults.latency)
            if self.faults.crowd:
                await self._wait_for_crowd()
            reply = self._reply(call, request, body)
            if call.fault == "hang":
                await self._over.wait()
            elif call.fault == "hold":
                await self._let_go.wait()
        finally:
            self._active -= 1
        call.status = reply.status
        if call.fault == "reply" and request.transport is not None:
            request.transport.abort()
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _wait_for_crowd(self) -> None:
        if self._active >= self.faults.crowd:
            self.faults.crowd = 0
            self._crowded.set()
        await self._crowded.wait()

    def _reply(self, call: Call, request: web.BaseRequest, body: bytes) -> ApiReply:
        fault = self.faults.strike(call)
        call.fault = "" if fault is None else str(fault)
        if isinstance(fault, int) or fault == "hang":
            status = fault if isinstance(fault, int) else 503
            return document_reply(Refusal(status, "injected by the test").document, status)
        asked = ApiRequest(call.method, call.path, call.query, request.headers, body, self.url)
        return self.api.answer(asked)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="a small Cloud Storage for tests")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bucket", action="append", default=[])
    parser.add_argument("--latency", type=float, default=0.0, help="seconds a request")
    asked = parser.parse_args()
    with GcsServer(*asked.bucket, port=asked.port) as server:
        server.faults.latency = asked.latency
        print(f"export STORAGE_EMULATOR_HOST={server.url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
