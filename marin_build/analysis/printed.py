"""Whether something is printed while a pipeline is loaded: what was kept would print nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotedStream:
    """A stream of text that notes whether something was written to it.

    Args:
        stream: what is written goes there.

    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.is_written = False

    def write(self, text: str) -> int:
        """Write a text."""
        self.is_written = self.is_written or bool(text)
        count: int = self._stream.write(text)
        return count

    @property
    def buffer(self) -> Any:
        """The stream of bytes below: who asks for it, writes to it."""
        self.is_written = True
        return self._stream.buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Printed:
    """Whether something was printed.

    Args:
        streams: where.

    """

    def __init__(self, *streams: NotedStream) -> None:
        self._streams = streams

    @property
    def is_so(self) -> bool:
        """Whether it was."""
        return any(stream.is_written for stream in self._streams)


@contextmanager
def noting_prints() -> Iterator[Printed]:
    """Note what Python prints meanwhile; what a C library prints is not seen."""
    out, err = sys.stdout, sys.stderr
    noted_out, noted_err = NotedStream(out), NotedStream(err)
    sys.stdout, sys.stderr = noted_out, noted_err
    try:
        yield Printed(noted_out, noted_err)
    finally:
        if sys.stdout is noted_out:
            sys.stdout = out
        if sys.stderr is noted_err:
            sys.stderr = err
