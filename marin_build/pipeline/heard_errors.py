"""What a pipeline's own code prints to standard error, noted while it goes there."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


_KEPT = 4096
"""Characters; a parser of arguments says what is wrong in its last line."""


class HeardErrors:
    """A text stream that hands on what is printed and keeps the end of it.

    A handler of the author's logging may keep it for good: afterwards it only hands on.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._end = ""
        self._is_over = False

    def write(self, text: str) -> int:
        """Write a text."""
        if not self._is_over:
            self._end = (self._end + text)[-_KEPT:]
        written: int = self._stream.write(text)
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def stop(self) -> None:
        """Note no more."""
        self._is_over = True

    @property
    def last_line(self) -> str:
        """The last line that says something."""
        lines = [line.strip() for line in self._end.splitlines()]
        return next((line for line in reversed(lines) if line), "")


@contextmanager
def hearing_errors() -> Iterator[HeardErrors]:
    """Note what Python code prints to standard error in the block."""
    before, heard = sys.stderr, HeardErrors(sys.stderr)
    sys.stderr = heard
    try:
        yield heard
    finally:
        heard.stop()
        if sys.stderr is heard:
            sys.stderr = before
