"""The process of a command: its environment and signals, where its output goes, its exit code."""

from __future__ import annotations

import codecs
import errno
import os
import signal
import sys
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


_STANDARD_OUTPUT = 1
_BLOCK = 1 << 16

stdin_inherited: ContextVar[bool] = ContextVar("stdin_inherited", default=False)
"""Whether a command inherits this process's standard input; not so where steps are threads."""


@dataclass(frozen=True, slots=True)
class OwnSession:
    """How a command runs whose step shares a process with others: in a session of its own.

    Args:
        stdin: descriptor that becomes its standard input.
        output: descriptor that takes what it prints.
        environ: more variables.
        has_begun: is called with its process id.

    """

    stdin: int
    output: int
    environ: Mapping[str, str]
    has_begun: Callable[[int], None]


own_session: ContextVar[OwnSession | None] = ContextVar("own_session", default=None)
"""Where a command is to run that does not belong to the process that it is started by."""


def run_argv(argv: Sequence[str], folder: str) -> None:
    """Run a command line in a folder; that of this Python comes first on its PATH.

    Raises:
        SystemExit: it failed; the code is the command's (128 + signal, as shells say it).

    """
    import subprocess

    path = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", os.defpath)
    own = own_session.get()
    log = None if own is not None or _is_own_output(sys.stdout) else sys.stdout
    stdin, output = subprocess.DEVNULL, None if log is None else subprocess.PIPE
    if own is not None:
        stdin, output = own.stdin, own.output
    try:
        with (
            _outliving_sigterm(),
            subprocess.Popen(
                argv,
                cwd=folder,
                env={**os.environ, **(own.environ if own is not None else {}), "PATH": path},
                stdin=None if stdin_inherited.get() else stdin,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                start_new_session=own is not None,
            ) as running,
        ):
            if own is not None:
                own.has_begun(running.pid)
            if log is not None and running.stdout is not None:
                _copy(running.stdout, log)
            code = running.wait()
    except FileNotFoundError as error:
        what = "no such folder" if error.filename == folder else "command not found"
        sys.stderr.write(f"{error.filename or argv[0]}: {what}\n")
        raise SystemExit(127) from None
    except PermissionError:
        sys.stderr.write(f"{argv[0]}: permission denied\n")
        raise SystemExit(126) from None
    except OSError as error:
        if error.errno != errno.E2BIG:
            raise
        size = sum(len(os.fsencode(word)) + 1 for word in argv)
        sys.stderr.write(
            f"{argv[0]}: the command line is too long, {size} bytes beside the environment: give "
            'lists by file, deps={"parts": [...]}\n'
        )
        raise SystemExit(126) from None
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


@contextmanager
def _outliving_sigterm() -> Iterator[None]:
    """Leave SIGTERM, which the whole step gets, to the command: it may want to save something."""
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if not is_ours:
        yield
        return
    # A handler, unlike SIG_IGN, is not handed on to programs.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _is_own_output(stream: TextIO) -> bool:
    """Return whether a stream is this process's standard output; not so in a thread."""
    try:
        stream.flush()
        return stream.fileno() == _STANDARD_OUTPUT
    except (OSError, ValueError):
        return False


def _copy(source: IO[bytes], log: TextIO) -> None:
    """Copy what a command prints into a stream that knows whose log it is."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a block may end inside a letter
    while block := source.read1(_BLOCK):  # type: ignore[attr-defined]
        log.write(decoder.decode(block))
    log.write(decoder.decode(b"", final=True))
