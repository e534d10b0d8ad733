"""The program, run in forks of a process that has loaded all its modules already.

A test that runs a command to its end waits mostly for Python to load modules; forks share that.
Each command is still a process of its own: its group, environment, folder, streams, exit code.
What is different: the seed of hashes, that a module is loaded which nobody asked for, and that no
module is taken apart at the end. So what changes the interpreter (PYTHONHASHSEED, LANG ...) gets a
fresh process, and so does whoever is signalled, watched or measured.

Scripts get the same through a client (`Resident.folder`): a small program of the name of ours
hands its arguments, environment, folder and streams to the resident, passes on the signals it gets
that ask for an end, and ends as the fork ends. The fork does not outlive it, nor stop with it.
"""

from __future__ import annotations

import atexit
import functools
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .resident_program import STATUS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SCRIPT = Path(__file__).with_name("resident_program.py")
_MODULES = (
    "encodings.ascii", "encodings.unicode_escape", "jinja2", "networkx", "pwd", "pydantic",
    "rich.console", "rich.live", "rich.table", "statistics", "tomllib",
)  # fmt: skip
_OF_A_BUCKET = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"
_BEGINS = {"LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
"""What the interpreter reads when it begins."""
_READ_AT_THE_BEGINNING = ("COV", "LANG", "LC_", "LD_", "PYTHON")
"""How the names of such variables begin."""
_PASSED_ON = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
_SET_IN_THE_FORK = "PYTHONDONTWRITEBYTECODE"
_CLIENT = """\
#!{python} -IS
import os, sys
from _signal import SIG_DFL, signal
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_SEQPACKET, SOL_SOCKET, socket
env = dict(os.environ)
begins = {{k: v for k, v in env.items() if k.startswith({names}) and k != {apart!r}}}
if begins != {begins} or env.get({bucket!r}) != {has_bucket!r}:
    os.execv({program!r}, [{program!r}, *sys.argv[1:]])
channel = socket(AF_UNIX, SOCK_SEQPACKET)
channel.connect({address!r})
request = ascii({{"argv": [{program!r}, *sys.argv[1:]], "cwd": os.getcwd(), "env": env}})
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in range(3))
channel.sendmsg([request.encode()], [(SOL_SOCKET, SCM_RIGHTS, streams)])
pid, code = 0, 0
def read():
    return int.from_bytes(channel.recv(8), sys.byteorder, signed=True)
def pass_on(number, frame):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
pid = read()
for number in {passed}:
    signal(number, pass_on)
code = read()
if code < 0:
    if -code in {passed}:
        signal(-code, SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


class Resident:
    """One resident process, and the requests to it. For one thread at a time.

    Args:
        program: what it runs.
        environ: what its interpreter and modules begin with.
        modules: loaded beforehand, beside our own.

    """

    def __init__(self, program: Path, environ: Mapping[str, str], modules: Sequence[str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="resident-"))
        """A folder for PATH, with the client; the process removes it at its end."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(self._write_client(program, environ.get(_OF_A_BUCKET)))
            door.listen()
            passed = [theirs.fileno(), door.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, _SCRIPT, *map(str, passed), str(program), *modules],
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=passed,
            )
        atexit.register(self._close)

    def run(
        self, argv: Sequence[str], cwd: Path, environ: Mapping[str, str], patience: float
    ) -> tuple[int, str, str]:
        """Run one command; return exit code (negative: a signal), standard output and error.

        Raises:
            TimeoutError: it did not end; it was killed.

        """
        request = {"argv": list(argv), "cwd": str(cwd), "env": dict(environ)}
        pipes = [os.pipe() for _ in range(3)]
        try:
            theirs = [write for _, write in pipes]
            socket.send_fds(self._channel, [ascii(request).encode()], theirs)
        finally:
            for _, write in pipes:
                os.close(write)
        try:
            (out, _), (err, _), (status, _) = pipes
            return _collect(out, err, status, time.monotonic() + patience)
        finally:
            for read, _ in pipes:
                os.close(read)

    def _close(self) -> None:
        self._channel.close()
        self._process.wait()

    def _write_client(self, program: Path, has_bucket: str | None) -> str:
        """Write the client; return the address it connects to."""
        address = str(self.folder / "door")
        client = self.folder / program.name
        client.write_text(
            _CLIENT.format(
                python=sys.executable,
                names=_READ_AT_THE_BEGINNING,
                apart=_SET_IN_THE_FORK,
                begins=_BEGINS,
                bucket=_OF_A_BUCKET,
                has_bucket=has_bucket,
                passed=tuple(map(int, _PASSED_ON)),
                program=str(program),
                address=address,
            )
        )
        client.chmod(0o755)
        return address


def _collect(out: int, err: int, status: int, deadline: float) -> tuple[int, str, str]:
    """Read what a command prints until nobody can print any more, and how it ended."""
    printed: dict[int, list[bytes]] = {out: [], err: [], status: []}
    with selectors.DefaultSelector() as waiting:
        for descriptor in printed:
            waiting.register(descriptor, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, deadline - time.monotonic()))
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                printed[key.fd].append(data)
                if not data:
                    waiting.unregister(key.fd)
            if not ready:
                _kill(b"".join(printed[status]))
                raise TimeoutError(b"".join(printed[out] + printed[err]).decode())
    told = b"".join(printed[status])
    assert len(told) == 2 * STATUS.size, "the resident process died"
    (code,) = STATUS.unpack_from(told, STATUS.size)
    return code, _text(printed[out]), _text(printed[err])


def _kill(told: bytes) -> None:
    (pid,) = STATUS.unpack_from(told)
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _text(data: Sequence[bytes]) -> str:
    """Return what was printed, with line ends as a text file has them."""
    return b"".join(data).decode().replace("\r\n", "\n").replace("\r", "\n")


def resident_for(program: Path, environ: Mapping[str, str]) -> Resident | None:
    """Return the resident process that can run a program so; None if it takes a fresh one."""
    begins = {
        k: v
        for k, v in environ.items()
        if k.startswith(_READ_AT_THE_BEGINNING) and k != _SET_IN_THE_FORK
    }
    return _resident(program, has_bucket=_OF_A_BUCKET in environ) if begins == _BEGINS else None


def new_resident(program: Path, **variables: str) -> Resident:
    """Return one for a kind of test, whose interpreter begins with more variables than usual."""
    return Resident(program, {**_BEGINS, "PATH": "/usr/bin:/bin", **variables}, _MODULES)


@functools.cache
def _resident(program: Path, *, has_bucket: bool) -> Resident:
    """Return one of the two there may be: the modules of a bucket make all forks slower."""
    if has_bucket:
        environ = {**_BEGINS, "PATH": "/usr/bin:/bin", _OF_A_BUCKET: "false"}
        return Resident(program, environ, (*_MODULES, "gcsfs"))
    return new_resident(program)
