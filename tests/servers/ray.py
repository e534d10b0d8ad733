"""A head of Ray for tests, in a network namespace: it listens on every address that it sees.

Ray has an environment of its own, because it would bring 400 MB into that of the tests. A head, its
network and its folder end with the test process, even if that is killed: some of the processes that
Ray starts outlive it, so a keeper waits for that end.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from .programs import CHECKOUT, tied
from .slurm import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_UP_WITHIN = 240.0
_KEEPER = """\
cat > /dev/null
while pids=$(ip netns pids "$1") && [ -n "$pids" ]; do kill -9 $pids; sleep 0.05; done
ip netns del "$1"
rm -rf "$2"
"""
_RESOURCES = {"TPU": 4, "TPU-v4-8-head": 1, "accelerator_type:H100": 1}


def find_ray() -> Path | None:
    """Return the program: RAY, or that of the checkout's environment for Ray; None: not here.

    It needs root, and `ip`, for a network of its own.
    """
    program = Path(os.environ.get("RAY") or CHECKOUT / ".venv" / "ray" / "bin" / "ray")
    has_network = os.geteuid() == 0 and shutil.which("ip", path=_path()) is not None
    return program if program.exists() and has_network else None


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass
class Head:
    """A head, with 2 CPUs, a GPU and a TPU that are not there.

    Args:
        folder: everything that belongs to it. Ray's sockets need a short path.
        program: `ray`.
        start_timeout: seconds that a job may wait until Ray gives it up.

    """

    folder: Path
    program: Path
    start_timeout: int
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    _name: str = field(default_factory=lambda: f"mb-{os.getpid()}-{secrets.token_hex(2)}")
    _link: str = field(default_factory=lambda: f"mb{secrets.token_hex(4)}")
    _net: str = field(
        default_factory=lambda: "10.{}.{}".format(*SystemRandom().choices(range(128, 254), k=2))
    )
    _process: subprocess.Popen[bytes] | None = None
    _keeper: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """The URL of its dashboard."""
        return f"http://{self._net}.2:8265"

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it."""
        return {"RAY_API_SERVER_ADDRESS": self.address, "RAY_AUTH_TOKEN": self.token}

    def make_network(self) -> None:
        """Make its network: a link between it and this machine, and no way out."""
        inside = ("-n", self._name)
        self._ip("netns", "add", self._name)
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "keeper", self._name, str(self.folder)],
            env={**os.environ, "PATH": _path()},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for words in (
            (
                "link",
                "add",
                self._link,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                self._name,
            ),
            ("addr", "add", f"{self._net}.1/30", "dev", self._link),
            ("link", "set", self._link, "up"),
            (*inside, "link", "set", "lo", "up"),
            (*inside, "addr", "add", f"{self._net}.2/30", "dev", "eth0"),
            (*inside, "link", "set", "eth0", "up"),
        ):
            self._ip(*words)

    def start(self) -> None:
        """Start it, and wait until it takes jobs."""
        host = f"{self._net}.2"
        argv = [
            str(self.program), "start", "--head", "--block", "--disable-usage-stats",
            f"--node-ip-address={host}", f"--dashboard-host={host}", "--dashboard-port=8265",
            "--num-cpus=2", "--num-gpus=1", f"--resources={json.dumps(_RESOURCES)}",
            "--object-store-memory=100000000", f"--temp-dir={self.folder}",
        ]  # fmt: skip
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "RAY_JOB_START_TIMEOUT_SECONDS": str(self.start_timeout),
        }
        with (self.folder / "head.log").open("ab") as out:
            self._process = subprocess.Popen(
                tied(["ip", "netns", "exec", self._name, *argv]),
                cwd=self.folder,
                env=environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            wait_until(self._is_up, _UP_WITHIN)
        except TimeoutError as error:
            log = (self.folder / "head.log").read_text()
            raise RuntimeError(f"Ray does not come up:\n{log[-4000:]}") from error

    def kill(self) -> None:
        """Kill it and all that it started, jobs included, as a crash of its machine does."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        wait_until(self._kill_what_is_left, _UP_WITHIN)

    def stop(self) -> None:
        """End everything."""
        self.kill()
        if self._keeper is not None:
            self._keeper.communicate(timeout=_UP_WITHIN)

    def ask(self, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        """Return what the dashboard answers."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def jobs(self) -> dict[str, str]:
        """Return the state of each job that was submitted, by id."""
        return {row["submission_id"]: row["status"] for row in self.ask("/api/jobs/")}

    def end_all_jobs(self) -> None:
        """Stop all jobs that wait or run, and wait for that: one that waits forever is given up."""
        for id_, status in self.jobs().items():
            if status in {"PENDING", "RUNNING"}:
                self.ask(f"/api/jobs/{id_}/stop", "POST")
        wait_until(lambda: {"PENDING", "RUNNING"}.isdisjoint(self.jobs().values()), _UP_WITHIN)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Ray ended: {(self.folder / 'head.log').read_text()[-4000:]}")
        try:
            self.ask("/api/jobs/")
        except OSError:
            return False
        return True

    def _kill_what_is_left(self) -> bool:
        left = self._ip("netns", "pids", self._name).split()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        return not left

    def _ip(self, *words: str) -> str:
        done = subprocess.run(
            ["ip", *words],
            env={**os.environ, "PATH": _path()},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout


@contextmanager
def ray_head(start_timeout: int) -> Iterator[Head]:
    """Run a head."""
    program = find_ray()
    assert program is not None
    head = Head(Path(tempfile.mkdtemp(prefix="mbray", dir="/tmp")), program, start_timeout)
    try:
        head.make_network()
        head.start()
        yield head
    finally:
        head.stop()


@contextmanager
def forgetful(head: Head) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """Stand between programs and a head: lose the answer to a submit, then leave its job out once.

    Yields:
        The address, and the method and status of each answer of the head.

    """
    answers: list[tuple[str, int]] = []
    to_lose, to_hide = [True], [True]

    class Between(BaseHTTPRequestHandler):
        def _pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            connection = HTTPConnection(head.address.removeprefix("http://"), timeout=120)
            connection.request(self.command, self.path, self.rfile.read(length), dict(self.headers))
            with connection.getresponse() as answer:
                status, data = answer.status, answer.read()
            answers.append((self.command, status))
            if self.command == "POST" and to_lose:
                to_lose.clear()
                return
            if self.path == "/api/jobs/" and self.command == "GET" and not to_lose and to_hide:
                to_hide.clear()
                data = b"[]"
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _pass_on  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Between) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", answers
        finally:
            server.shutdown()
            thread.join()
