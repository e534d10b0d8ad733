"""Where user code prints while a pipeline loads: standard output is for data that programs read."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_OUT, _ERR = 1, 2


@contextmanager
def to_standard_error() -> Iterator[None]:
    """Lead to standard error what is printed meanwhile.

    That is what Python prints, what C libraries write to descriptor 1, and what child processes
    print, also those that go on afterwards. The command line has led descriptor 1 there for good
    (cli/standard_streams.py); a program gets its own back.
    """
    if _is_one_file():
        with redirect_stdout(sys.stderr):
            yield
        return
    _flush()
    kept = os.dup(_OUT)
    os.dup2(_ERR, _OUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        _flush_libraries()
        os.dup2(kept, _OUT)
        os.close(kept)


def _is_one_file() -> bool:
    """Return whether both descriptors write to one file, or one of them is closed."""
    try:
        return os.path.sameopenfile(_OUT, _ERR)
    except OSError:
        return True


def _flush() -> None:
    """Write out what Python has buffered for descriptor 1, where it leads to now."""
    if sys.__stdout__ is not None:
        with suppress(OSError, ValueError):
            sys.__stdout__.flush()


def _flush_libraries() -> None:
    """Have C libraries write out what they have buffered: later it would go to the wrong place."""
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).fflush(None)
