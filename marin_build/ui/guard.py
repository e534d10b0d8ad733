"""Who may ask the server for anything: the browser of the person who has its address.

Each page in that browser, and each program on this machine, can send requests to a port of the
loopback. Four things tell them apart, and all of them are checked before anything is looked up:

- the name in `Host`, which a page that has its own name point to 127.0.0.1 cannot choose;
- `Origin` and `Sec-Fetch-Site`, which browsers set and pages cannot change;
- the method: nothing here changes anything;
- the token, which is the first part of the path. It is no cookie, as all ports of a machine share
  their cookies.
"""

from __future__ import annotations

import hmac
import os
import re
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]


LONGEST_ADDRESS = 4096
"""Bytes of a path and a query; names of targets are shorter."""
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.ASCII)
"""With any port, since `ssh -L` may have another one on the side of the browser."""
_OURS = ("same-origin", "none")
_HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer; a page has a policy of its own."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request gets no answer: the status, what its sender reads, and what we are told."""

    status: int
    text: str
    why: str


_NOT_FOUND = Refusal(404, "not found", "its address has no token, or a wrong one")
_BUG = Refusal(500, "this is a bug in marin-build", "it met a bug")


def refusal_of(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], token: str
) -> Refusal | None:
    """Return why a request is refused; None if it may be answered.

    Args:
        method: in capitals.
        path, query: of its address, still encoded.
        headers: names in lower case, and values.
        token: that must be the first part of the path.

    """
    given: dict[str, list[str]] = {}
    for name, value in headers:
        given.setdefault(name, []).append(value)
    hosts = given.get("host", [])
    if len(hosts) != 1 or _LOOPBACK.fullmatch(hosts[0]) is None:
        named = f"`{hosts[0]}`" if len(hosts) == 1 else f"{len(hosts)} names"
        return Refusal(421, "misdirected request", f"it asks for {named}, not for this machine")
    if any(origin != f"http://{hosts[0]}" for origin in given.get("origin", [])):
        origin = ", ".join(given["origin"])
        return Refusal(403, "forbidden", f"a page of `{origin}` sent it")
    sites = given.get("sec-fetch-site", [])
    if any(site not in _OURS for site in sites) and not _is_navigation(method, given):
        kind = ", ".join(given.get("sec-fetch-dest", [])) or "unknown"
        return Refusal(403, "forbidden", f"a page of another site sent it, for: {kind}")
    if method not in ("GET", "HEAD"):
        return Refusal(405, "method not allowed", f"its method is {method}")
    if len(path) + len(query) > LONGEST_ADDRESS:
        return Refusal(414, "address too long", f"its address has {len(path) + len(query)} bytes")
    first = path.removeprefix("/").partition("/")[0]
    return None if hmac.compare_digest(first.encode(), token.encode()) else _NOT_FOUND


def _is_navigation(method: str, given: Mapping[str, list[str]]) -> bool:
    """Return whether a person followed a link into a tab of its own, which no other page reads."""
    is_whole = given.get("sec-fetch-mode") == ["navigate"]
    return method == "GET" and is_whole and given.get("sec-fetch-dest") == ["document"]


class Guard:
    """Answers what may be asked, by an application, and refuses all else.

    Args:
        application: gets the requests that may be answered; the token is its `root_path`.
        token: the secret part of the address.
        on_note: told why a request was refused, or met a bug.

    """

    def __init__(
        self, application: Application, token: str, on_note: Callable[[str], None]
    ) -> None:
        self._application, self._token, self._on_note = application, token, on_note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
        headers = [(n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in scope["headers"]]
        refusal = refusal_of(scope["method"], path, query, headers, self._token)
        guarded = _with_headers(send)
        if refusal is None:
            refusal = await self._answered(scope, receive, guarded)
        else:
            self._on_note(f"{scope['method']} was refused: {refusal.why}")
        if refusal is not None:
            await _answer(guarded, refusal, has_body=scope["method"] != "HEAD")

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> Refusal | None:
        """Let the application answer; return what is answered in its place if that meets a bug."""
        has_begun = False

        async def sending(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        inside = {**scope, "root_path": f"/{self._token}"}
        try:
            await self._application(inside, receive, sending)
        except Exception as error:  # noqa: BLE001 - the other pages go on
            *_, last = traceback.extract_tb(error.__traceback__)
            place = f"{os.path.basename(last.filename)}:{last.lineno}"
            self._on_note(f"this is a bug in marin-build: {type(error).__name__} in {place}")
            return None if has_begun else _BUG
        return None


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            named = {name.lower() for name, _ in message.get("headers", ())}
            more = [
                (k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in named
            ]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


async def _answer(send: Send, refusal: Refusal, *, has_body: bool) -> None:
    body = f"{refusal.text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body if has_body else b""})
