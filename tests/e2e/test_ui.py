"""`marin-build ui` as a program: what it needs, what it refuses, and how it ends.

How its pages look and what hostile pages learn: tests/browser/test_ui*.py.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import urllib.request
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Project, Running


def start(project: Project, *words: str) -> tuple[Running, str]:
    """Start the server; return it and the address that it printed."""
    running = project.start("ui", *words)
    assert running.process.stdout is not None
    line = running.process.stdout.readline()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/(runs/r-[0-9a-f]{8}/)?\n", line), (
        running.wait()
    )
    return running, line.strip()


def ask(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return str(answer.read().decode())


def events_of(address: str) -> dict[str, object]:
    """Return the first thing that a page hears."""
    with urllib.request.urlopen(address, timeout=60) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                return dict(json.loads(line[6:]))
    raise AssertionError("it ended")


def test_no_code_of_the_pipeline_is_run(project: Project) -> None:
    """Else looking at a run of a colleague runs what the colleague wrote."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    project.pipeline("from pathlib import Path\nPath('ran-at-all').touch()\nraise SystemExit(9)\n")
    running, address = start(project, "latest")
    page = ask(address)
    assert "report" in page
    assert "corpus" in page
    run = events_of(address + "events")["run"]
    assert isinstance(run, dict)
    assert (run["outcome"], run["counts"]) == ("built", {"built": 4})
    root = address.partition("runs/")[0]
    for inside in ("", "outputs/", "metrics/"):
        assert "</html>" in ask(root + inside)
    running.send(signal.SIGINT)
    done = running.wait()
    assert (done.code, done.out) == (0, "")
    assert not (project.root / "ran-at-all").exists()


def test_nothing_is_written(project: Project) -> None:
    """A view that changes what it shows cannot be trusted."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    outputs = project.root / ".marin-build"
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*")}
    running, address = start(project, "latest")
    root = address.partition("runs/")[0]
    events_of(address + "events")
    events_of(root + "events")
    ask(root + "outputs/")
    running.send(signal.SIGINT)
    assert running.wait().code == 0
    assert {path: path.stat().st_mtime_ns for path in outputs.rglob("*")} == before


def test_what_it_cannot_do_it_says(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = project.run("ui", "--port", str(port))
        assert (done.code, done.out) == (4, "")
        assert done.err == (
            f"error: cannot listen on port {port} of 127.0.0.1: address already in use\n"
            "  nothing is served\n"
            "hint: leave out --port, and a free one is taken\n"
        )
    done = project.run("ui", "--host", "0.0.0.0")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: the server listens on 127.0.0.1 only\n")
    assert "hint: from another machine: ssh -t -L " in done.err
    done = project.run("ui", "r-0badcafe")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: there is no run `r-0badcafe`\n")


def test_without_its_extra_it_names_that(project: Project, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "sitecustomize.py"
    hidden.parent.mkdir()
    hidden.write_text(
        "import importlib.util as it\n"
        "real = it.find_spec\n"
        "it.find_spec = lambda name, *more: None if name == 'uvicorn' else real(name, *more)\n"
    )
    running = project.start("ui", env={"PYTHONPATH": str(hidden.parent)})
    done = running.wait()
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: cannot open the live view: uvicorn is not installed\n"
        "  nothing was run\n"
        "hint: pip install 'marin-build[ui]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_browser_is_opened_without_telling_other_users(
    project: Project, tmp_path: Path, number: int
) -> None:
    """All users see command lines: the secret must not stand in one, nor in a file that is left."""
    fifo = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\n{{ echo "$1"; stat -c %a "$(dirname "$1")"; cat "$1"; }} > {fifo}\n'
    )
    browser.chmod(0o755)
    import os

    os.mkfifo(fifo)
    project.environment["BROWSER"] = str(browser)
    running, address = start(project, "--browser")
    path, rights, text = fifo.read_text().splitlines()
    token = address.rsplit("/", 2)[1]
    assert token not in path
    assert rights == "700"
    assert text == f'<meta http-equiv="refresh" content="0; url={address}">'
    running.send(number)
    assert running.wait().code == 0
    assert not os.path.exists(os.path.dirname(path))


def test_requests_that_no_browser_sends_end_nothing(project: Project) -> None:
    """Other users of the machine can send it any bytes."""
    project.pipeline(DIAMOND)
    running, address = start(project)
    port = int(address.split(":")[2].split("/")[0])
    inside = address.split(str(port), 1)[1]
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET " + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"POST " + inside.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi",
        b"GET " + inside.encode() + b"%ff/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET " + inside.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\n\r\n",
        b"",
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(1 << 16)
            except ConnectionError:
                answer = b""
        assert b" 101 " not in answer
        assert inside.encode() not in answer
    assert "</html>" in ask(address)
    running.send(signal.SIGINT)
    done = running.wait()
    assert (done.code, done.out) == (0, "")
    assert "Traceback" not in done.err


def test_streams_are_bounded_and_let_go(project: Project) -> None:
    """Else a page that is loaded again and again fills the server."""
    running, address = start(project)
    host, path = address.removeprefix("http://").split("/", 1)
    opened = []
    for _ in range(64):
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", f"/{path}events")
        answer = connection.getresponse()
        assert answer.status == 200
        answer.readline()
        opened.append((connection, answer))
    refused = http.client.HTTPConnection(host, timeout=60)
    refused.request("GET", f"/{path}events")
    assert refused.getresponse().status == 503
    refused.close()
    for connection, answer in opened:
        answer.close()
        connection.close()
    while True:  # until the server has seen that they are gone
        again = http.client.HTTPConnection(host, timeout=60)
        again.request("GET", f"/{path}events")
        status = again.getresponse().status
        again.close()
        if status == 200:
            break
    running.send(signal.SIGINT)
    assert running.wait().code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_while_a_bucket_does_not_answer(project: Project, number: int) -> None:
    """Else Ctrl-C waits a minute for a request that nobody needs any more."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        project.build_in_bucket(f"http://127.0.0.1:{silent.getsockname()[1]}", "gs://lab/out")
        running, address = start(project)
        with urllib.request.urlopen(address + "events", timeout=60) as answer:
            assert answer.readline().startswith(b"retry")
            silent.accept()[0].close()
            connection, _ = silent.accept()  # it tried again, and gets no answer
            running.send(number)
            assert running.wait().code == 0
            connection.close()
