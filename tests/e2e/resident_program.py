"""Forks the program for each request, with all modules loaded; started by `resident`, as a script.

The kernel clears away what a fork leaves. What Python says of it at the very end, as of files that
are open still, is for the tests that start the program afresh.

Arguments: the descriptor where requests come from, that where clients connect (`resident`), the
program, the modules to load first.
"""

from __future__ import annotations

import ast
import atexit
import gc
import importlib
import os
import pkgutil
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import Any, NamedTuple

import marin_build

STATUS = struct.Struct("q")
LONGEST_REQUEST = 1 << 20


def main() -> None:
    """Serve until the other end is closed; in a forked child, be the program."""
    channel, door = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    program, modules = sys.argv[3], sys.argv[4:]
    codes: list[int] = []
    atexit.register(_leave_to_the_kernel, codes)  # the first to register is the last to be called
    for name in [*_our_modules(), *modules]:
        importlib.import_module(name)
    # As Python sets it for the program.
    sys.path[0] = os.path.dirname(program)
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not fork"
    gc.collect()
    gc.freeze()
    folder = os.path.dirname(door.getsockname())
    with channel, door:
        is_child = _serve(channel, door)
    if not is_child:
        shutil.rmtree(folder)
    else:
        _run(program, codes)


def _run(program: str, codes: list[int]) -> None:
    """Be the program; append its exit code, if it has one."""
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            codes.append(ending.code or 0)
        raise
    codes.append(0)


def _leave_to_the_kernel(codes: list[int]) -> None:
    """End with an exit code here: to take all modules apart is most of what a fork costs."""
    if codes:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (OSError, ValueError):
            return  # Python tries once more, and complains
        os._exit(codes[0])


def _our_modules() -> list[str]:
    found = pkgutil.walk_packages(marin_build.__path__, "marin_build.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def _serve(channel: socket.socket, door: socket.socket) -> bool:
    """Return True in a child that is to be the program; False at the end."""
    waiting = selectors.DefaultSelector()
    waiting.register(channel, selectors.EVENT_READ)
    waiting.register(door, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.data is not None:
                _hear(waiting, key)
                continue
            caller = channel if key.fileobj is channel else door.accept()[0]
            data, descriptors, *_ = socket.recv_fds(caller, LONGEST_REQUEST, 3)
            if not data:
                if caller is channel:
                    return False
                caller.close()
                continue
            pid = os.fork()
            if pid == 0:
                caller.close()
                _forget(waiting)
                if caller is channel:
                    *streams, status = descriptors
                    os.close(status)
                else:
                    streams = descriptors
                _become(ast.literal_eval(data.decode()), streams)
                return True
            if caller is channel:
                *streams, status = descriptors
            else:
                streams, status = descriptors, caller.detach()
                waiting.register(status, selectors.EVENT_READ, _Gone(pid))
            _tell(status, pid)
            for descriptor in streams:
                os.close(descriptor)
            waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, _Ended(pid, status))


class _Ended(NamedTuple):
    """A child that ended, and where to say how."""

    pid: int
    status: int


class _Gone(NamedTuple):
    """A client that was killed, and its child."""

    pid: int


def _hear(waiting: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    if key.fd not in waiting.get_map():
        return  # a client was killed, and its child ended, at once
    waiting.unregister(key.fd)
    if isinstance(key.data, _Gone):
        with suppress(ProcessLookupError):
            os.killpg(key.data.pid, signal.SIGKILL)
        return
    os.close(key.fd)
    pid, status = key.data
    with suppress(KeyError):
        waiting.unregister(status)
    _, ended = os.waitpid(pid, 0)
    _tell(status, os.waitstatus_to_exitcode(ended))
    os.close(status)


def _forget(waiting: selectors.BaseSelector) -> None:
    """In a child: close what belongs to the requests."""
    for key in list(waiting.get_map().values()):
        if isinstance(key.fileobj, socket.socket):
            key.fileobj.close()
        else:
            os.close(key.fd)
        # What a client hears its end by is registered itself.
        if isinstance(key.data, _Ended) and key.data.status not in waiting.get_map():
            os.close(key.data.status)
    waiting.close()


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Be what a fresh process would be: its group, streams, folder, environment, arguments."""
    os.setpgid(0, 0)
    for number, descriptor in zip(range(3 - len(streams), 3), streams, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.dont_write_bytecode = "PYTHONDONTWRITEBYTECODE" in request["env"]
    time.tzset()
    sys.argv = request["argv"]


def _tell(status: int, number: int) -> None:
    with suppress(BrokenPipeError):  # who asked has lost patience
        os.write(status, STATUS.pack(number))


if __name__ == "__main__":
    main()
