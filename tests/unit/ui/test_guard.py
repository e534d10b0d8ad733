"""Only the browser of the person who has the address gets an answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.ui.guard import LONGEST_ADDRESS, Guard, refusal_of

if TYPE_CHECKING:
    from marin_build.ui.guard import Message, Receive, Scope, Send

TOKEN = "GkM3-a_Z"
HOST = "127.0.0.1:8123"
BROWSER = {
    "host": HOST,
    "sec-fetch-site": "same-origin",
    "sec-fetch-mode": "cors",
    "sec-fetch-dest": "empty",
}
LINK = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


def status(
    headers: dict[str, str], *, method: str = "GET", path: str = f"/{TOKEN}/", query: str = ""
) -> int:
    """Return the status of the refusal; 200 if it is none."""
    refusal = refusal_of(method, path, query, headers.items(), TOKEN)
    return refusal.status if refusal is not None else 200


@pytest.mark.parametrize(
    "headers",
    [
        BROWSER,
        {"host": HOST},  # curl, and browsers of former years
        {"host": "localhost:8123"},
        {"host": "[::1]:8123"},
        {"host": "localhost:9000"},  # ssh -L 9000:127.0.0.1:8123
        {"host": "localhost"},
        {**BROWSER, "origin": f"http://{HOST}"},
        {**BROWSER, **LINK},  # a link in a mail
        {**BROWSER, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},  # typed in
    ],
)
def test_who_has_the_address_is_answered(headers: dict[str, str]) -> None:
    """Else nobody sees anything."""
    assert status(headers) == 200
    assert status(headers, method="HEAD") in (200, 403)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8123", "127.0.0.1.evil.example",
        "localhost.evil.example:8123", "127.0.0.1:8123@evil.example",
        "evil.example#127.0.0.1:8123", "127.0.0.2:8123", "0.0.0.0:8123",
        "LOCALHOST.", "", "127.0.0.1:", "127.0.0.1:\uff18123", "[::1", "::1", "127.0.0.1:8123 ",
    ],
)  # fmt: skip
def test_a_name_that_was_bent_to_this_machine_is_refused(host: str) -> None:
    """Else a page whose name answers with 127.0.0.1 is of one origin with the server."""
    assert status({**BROWSER, "host": host}) == 421


def test_a_request_needs_one_name() -> None:
    assert status({}) == 421
    twice = [("host", HOST), ("host", "evil.example")]
    refusal = refusal_of("GET", f"/{TOKEN}/", "", twice, TOKEN)
    assert refusal is not None
    assert refusal.status == 421


@pytest.mark.parametrize(
    "origin",
    [
        "http://127.0.0.1:9999", "http://localhost:8123", "https://127.0.0.1:8123", "null",
        "http://evil.example", "file://", "http://127.0.0.1:8123.evil.example", "",
    ],
)  # fmt: skip
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    """Another port of this machine is another origin, too."""
    assert status({"host": HOST, "origin": origin}) == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site", "something-new"])
@pytest.mark.parametrize(
    ("mode", "dest"),
    [
        ("no-cors", "image"), ("no-cors", "script"), ("no-cors", "style"), ("cors", "empty"),
        ("navigate", "iframe"), ("navigate", "embed"), ("navigate", "object"),
        ("navigate", "frame"), ("no-cors", "document"), ("websocket", "websocket"),
    ],
)  # fmt: skip
def test_nothing_of_ours_is_embedded_elsewhere(site: str, mode: str, dest: str) -> None:
    """Else a page learns from sizes, errors and times what is there."""
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert status({**BROWSER, **headers}) == 403


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"])
def test_only_reading_is_possible(method: str) -> None:
    assert status(BROWSER, method=method) == 405
    assert status({**BROWSER, **LINK}, method=method) in (403, 405)


@pytest.mark.parametrize(
    "path",
    ["/", "", "/runs", f"/{TOKEN}x/", f"/{TOKEN[:-1]}/", f"//{TOKEN}/", f"/x/{TOKEN}/",
     "/favicon.ico", f"/{TOKEN.lower()}/", f"/{TOKEN}%2F", f"/%47{TOKEN[1:]}/", "/é/"],
)  # fmt: skip
def test_without_the_token_all_addresses_are_alike(path: str) -> None:
    """Else the server tells what it is, and which runs there are."""
    refusal = refusal_of("GET", path, "", BROWSER.items(), TOKEN)
    assert refusal is not None
    assert (refusal.status, refusal.text) == (404, "not found")


def test_addresses_are_bounded() -> None:
    assert status(BROWSER, query="q" * LONGEST_ADDRESS) == 414
    assert status(BROWSER, path=f"/{TOKEN}/" + "x" * LONGEST_ADDRESS) == 414


def answer_of(guard: Guard, path: str, method: str = "GET", host: str = HOST) -> list[Message]:
    """Return what a server is given to send in answer to a request."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"host", host.encode())],
    }  # fmt: skip
    asyncio.run(guard(scope, receive, send))
    return sent


def test_a_refused_request_reaches_nothing_and_every_answer_is_closed_to_others() -> None:
    """Headers stand on answers and on refusals; a policy of a page stays."""
    reached: list[Scope] = []
    told: list[str] = []

    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        reached.append(scope)
        own = [(b"content-security-policy", b"default-src 'self'")]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b"secret"})

    def ask(path: str, method: str = "GET", host: str = HOST) -> tuple[Any, bytes]:
        sent = answer_of(Guard(application, TOKEN, told.append), path, method, host)
        return sent[0], b"".join(message["body"] for message in sent[1:])

    for path, host, code, body in (
        (f"/{TOKEN}/x", HOST, 200, b"secret"),
        ("/x", HOST, 404, b"not found\n"),
        (f"/{TOKEN}/x", "evil.example", 421, b"misdirected request\n"),
    ):
        start, said = ask(path, host=host)
        headers = dict(start["headers"])
        assert (start["status"], said) == (code, body)
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"cross-origin-resource-policy"] == b"same-origin"
        assert headers[b"cross-origin-opener-policy"] == b"same-origin"
        assert headers[b"referrer-policy"] == b"no-referrer"
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert not [name for name in headers if name.startswith(b"access-control")]
        policy = headers[b"content-security-policy"]
        assert policy == (
            b"default-src 'self'" if code == 200 else b"default-src 'none'; frame-ancestors 'none'"
        )
    assert [scope["root_path"] for scope in reached] == [f"/{TOKEN}"]
    assert told == [
        "GET was refused: its address has no token, or a wrong one",
        "GET was refused: it asks for `evil.example`, not for this machine",
    ]
    assert ask("/x", "HEAD")[1] == b""


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_bug_ends_one_answer_and_is_told(*, has_begun: bool) -> None:
    """Else what goes wrong is seen by nobody, or its answer is open to other origins."""
    told: list[str] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        if has_begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise KeyError("s3cret")

    sent = answer_of(Guard(application, TOKEN, told.append), f"/{TOKEN}/")
    assert [message.get("status") for message in sent] == ([200] if has_begun else [500, None])
    assert dict(sent[0]["headers"])[b"cross-origin-resource-policy"] == b"same-origin"
    assert len(told) == 1
    assert told[0].startswith("this is a bug in marin-build: KeyError in test_guard.py:")
