"""Forks the program for each request, with all modules loaded; started by `resident`, as a script.

Arguments: the descriptor where requests come from, the program, the modules to load first.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import socket
import struct
import sys
import time
from contextlib import suppress

import marin_build

STATUS = struct.Struct("q")
LONGEST_REQUEST = 1 << 20


def main() -> None:
    """Serve until the other end is closed; in a forked child, be the program."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    program, modules = sys.argv[2], sys.argv[3:]
    for name in [*_our_modules(), *modules]:
        importlib.import_module(name)
    # As Python sets it for the program.
    sys.path[0] = os.path.dirname(program)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not fork"
    gc.collect()
    gc.freeze()
    if _serve(channel):
        runpy.run_path(program, run_name="__main__")


def _our_modules() -> list[str]:
    found = pkgutil.walk_packages(marin_build.__path__, "marin_build.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def _serve(channel: socket.socket) -> bool:
    """Return True in a child that is to be the program; False at the end."""
    waiting = selectors.DefaultSelector()
    waiting.register(channel, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is not channel:
                waiting.unregister(key.fd)
                os.close(key.fd)
                _tell_end(*key.data)
                continue
            data, descriptors, *_ = socket.recv_fds(channel, LONGEST_REQUEST, 3)
            if not data:
                return False
            pid = os.fork()
            if pid == 0:
                channel.close()
                _become(json.loads(data), descriptors)
                return True
            out, err, status = descriptors
            os.close(out)
            os.close(err)
            _tell(status, pid)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, status))


def _become(request: dict[str, object], descriptors: list[int]) -> None:
    """Be what a fresh process would be: its group, streams, folder, environment, arguments."""
    os.setpgid(0, 0)
    out, err, _ = descriptors
    os.dup2(out, 1)
    os.dup2(err, 2)
    for descriptor in descriptors:
        os.close(descriptor)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    time.tzset()
    sys.argv = list(request["argv"])  # type: ignore[call-overload]


def _tell_end(pid: int, status: int) -> None:
    _, ended = os.waitpid(pid, 0)
    _tell(status, os.waitstatus_to_exitcode(ended))
    os.close(status)


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):  # who asked has lost patience
        os.write(status, STATUS.pack(number))


if __name__ == "__main__":
    main()
