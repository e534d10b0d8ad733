"""Following a log that is being written."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_BLOCK = 1 << 16


def copy_log(
    path: str,
    is_over: Callable[[], bool],
    write: Callable[[bytes], object],
    wait: Callable[[], object],
) -> None:
    """Copy a file, and what is added to it, until nothing more will be.

    Args:
        path: a file that somebody appends to; it may not be there yet.
        is_over: whether it grows no more; asked before the file is read, so that nothing is lost.
        write: takes the bytes.
        wait: waits a little.

    """
    with ExitStack() as stack:
        stream: BinaryIO | None = None
        while True:
            over = is_over()
            if stream is None:
                stream = _open(path, stack)
            if stream is not None:
                _skip_cut(stream)
                while block := stream.read(_BLOCK):
                    write(block)
            if over:
                return
            wait()


def _skip_cut(stream: BinaryIO) -> None:
    """Go on at the end of a file that became shorter: its middle was cut out."""
    size = os.fstat(stream.fileno()).st_size
    if stream.tell() > size:
        stream.seek(size)


def _open(path: str, stack: ExitStack) -> BinaryIO | None:
    try:
        return stack.enter_context(open(path, "rb"))
    except FileNotFoundError:
        return None
