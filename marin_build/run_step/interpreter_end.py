"""What Python does at the end of a program, done when a body has returned: the last save counts.

A step ends as `python script.py` does: threads are joined unless they are daemons, executors finish
what they were given, exit hooks run, files are flushed. All of that belongs to the step, so it
happens before its output is verified, and within its time-out.
"""

# ruff: noqa: SLF001 - what the interpreter does by itself has no public names

from __future__ import annotations

import atexit
import gc
import io
import sys
import threading
import weakref
from contextlib import suppress
from types import BuiltinFunctionType, CellType, FrameType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator


TELL_AFTER = 1.0
"""Seconds after which a wait is reported."""
_MOST = 4
_FILE = io.IOBase.__base__
"""What all files of Python derive from, those written in C, too."""
_HOLD_BACK = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
_NO_FILES = {tuple, list, dict, set, FunctionType, CellType, FrameType, BuiltinFunctionType}
"""What most objects are."""


def forget_parent() -> None:
    """Leave the exit hooks that were there before the fork to the process that set them up."""
    atexit._clear()
    finalizers: Any = weakref.finalize
    finalizers._registry.clear()
    finalizers._registered_with_atexit = False
    if processes := sys.modules.get("multiprocessing.process"):
        # Else the daemons among them would be ended, too: they are another process's.
        processes._children.clear()
    if executors := sys.modules.get("concurrent.futures.thread"):
        # Their threads are the parent's; one of them may have forked this process.
        executors._threads_queues.clear()


def end_as_interpreter(tell: Callable[[str], None], early: Collection[io.IOBase] = ()) -> None:
    """Do what the interpreter does at its end, in the main thread of a process that then exits.

    Args:
        tell: called with what the step waits for, when that takes a while.
        early: files that were open before the fork.

    """
    if threading.active_count() > 1 or "multiprocessing.process" in sys.modules:
        with _Watching(tell):
            _end_what_runs()
    else:
        _end_what_runs()
    files = flush_files(early)
    # The outer ones first: text is handed on to what wraps a file, and that ends with its own.
    files.sort(key=lambda stream: (not _is_text(stream), not is_wrapper(stream)))
    for stream in files:
        if stream not in (sys.stdout, sys.stderr, sys.stdin, sys.__stdout__, sys.__stderr__):
            _try(stream.close)


def _end_what_runs() -> None:
    """Wait for threads and processes, and run exit hooks."""
    shut_down: Any = threading
    shut_down._shutdown()
    atexit._run_exitfuncs()
    # Its hook was set up before the fork if it was imported before.
    if util := sys.modules.get("multiprocessing.util"):
        util._exit_function()
    # The first handler is always there, and holds nothing back.
    if (logs := sys.modules.get("logging")) and len(logs._handlerList) > 1:
        logs.shutdown()


def join_threads(threads: Collection[threading.Thread], tell: Callable[[str], None]) -> None:
    """Wait for threads, and shut down the executors that they belong to.

    For a process that goes on.

    Args:
        threads: which.
        tell: called with what the step waits for, when that takes a while.

    """
    with _Watching(tell, threads):
        for thread in threads:
            if (executor := executor_of(thread)) is not None:
                executor.shutdown(wait=True)
            thread.join()


def is_owed(thread: threading.Thread) -> bool:
    """Return whether the interpreter would wait for a thread at its end."""
    return thread.is_alive() and not thread.daemon and thread is not threading.main_thread()


def executor_of(thread: threading.Thread) -> Any | None:
    """Return the executor that a thread works for, None if it works for none."""
    args = getattr(thread, "_args", None) or ()
    reference = args[0] if args else getattr(thread, "executor_reference", None)
    executor = reference() if isinstance(reference, weakref.ref) else None
    return executor if hasattr(executor, "shutdown") else None


def open_files() -> list[io.IOBase]:
    """Return the files that are open for writing and hold something back, perhaps."""
    return [
        found
        for found in gc.get_objects()
        # `isinstance` asks proxies, which may raise, and `issubclass` takes notes in each type.
        if type(found) not in _NO_FILES
        and _FILE in type(found).__mro__
        and (type(found) in _HOLD_BACK or is_wrapper(found))
        and _is_open(found)
    ]


def flush_files(early: Collection[io.IOBase] = ()) -> list[io.IOBase]:
    """Write out what open files hold back, in a process that goes on; return the later of these.

    Args:
        early: files that were open before the fork.

    """
    files = open_files()
    for stream in (*early, *files):
        _try(stream.flush)
    return files


def is_wrapper(stream: io.IOBase) -> bool:
    """Return whether a file ends with something of its own, as one of gzip does."""
    return type(stream).__module__ != "_io"


def _is_open(stream: io.IOBase) -> bool:
    with suppress(Exception):
        return not stream.closed and stream.writable()
    return False


def _is_text(stream: io.IOBase) -> bool:
    return isinstance(stream, io.TextIOWrapper)


def _try(call: Callable[[], object]) -> None:
    """Do what the interpreter would, and go on if that fails, as it does."""
    try:
        call()
    except ValueError as error:
        if "closed file" not in str(error):  # what it wraps was closed before: nothing is lost
            with suppress(Exception):
                sys.stderr.write(f"error when a file was closed: {error}\n")
    except Exception as error:  # noqa: BLE001 - it may be any writer's
        with suppress(Exception):
            sys.stderr.write(f"error when a file was closed: {error}\n")


class _Watching:
    """Calls `tell` once, from a thread of its own, if the step waits for something for long."""

    def __init__(
        self, tell: Callable[[str], None], threads: Collection[threading.Thread] | None = None
    ) -> None:
        self._tell, self._threads = tell, threads
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if threading.active_count() > 1 or next(self._names(), None) is not None:
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        if self._is_over.wait(TELL_AFTER):
            return
        owed = list(self._names())
        if owed:
            kinds = {kind for kind, _ in owed}
            kind = kinds.pop() if len(kinds) == 1 else "threads and process"
            plural = "" if len(owed) == 1 else "es" if kind.endswith("s") else "s"
            more = f" and {len(owed) - _MOST} more" if len(owed) > _MOST else ""
            names = ", ".join(name for _, name in owed[:_MOST])
            self._tell(f"waiting for {len(owed)} {kind}{plural}: {names}{more}")

    def _names(self) -> Iterator[tuple[str, str]]:
        if self._threads is not None:
            yield from (("thread", thread.name) for thread in self._threads if thread.is_alive())
            return
        threads = threading.enumerate()
        yield from (("thread", thread.name) for thread in threads if is_owed(thread))
        if parent := sys.modules.get("multiprocessing.process"):
            children = list(parent._children)
            yield from (("process", child.name) for child in children if not child.daemon)
