"""Standard streams: opens missing ones, and lets a run survive one that breaks."""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def make_ready() -> None:
    """Open the standard streams that our parent has closed, and let them print any character.

    Otherwise the next file that we open would get the number of a closed stream, and output would
    go into that file; and a character that the terminal lacks would end a run.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            if mode == "w" and stream.errors != "backslashreplace":
                with suppress(OSError):  # a redirected stream may not be seekable
                    stream.reconfigure(errors="backslashreplace")
        elif stream is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Continue without output when standard output or error breaks: runs outlive terminals."""
    saved = sys.stdout, sys.stderr
    sys.stdout = cast("TextIO", _Lasting(sys.stdout, _say_so))
    sys.stderr = cast("TextIO", _Lasting(sys.stderr, lambda _: None))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = saved


@contextmanager
def output_to_error() -> Iterator[None]:
    """Redirect standard output of this process and its children to standard error meanwhile."""
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
        sys.stdout.flush()
    finally:
        os.dup2(out, 1)
        os.close(out)


def why_output_is_broken(probe: str = "") -> str | None:
    """Return why standard output cannot be written to; None if it can.

    Args:
        probe: a text to write for that, in case no output is buffered.

    """
    try:
        sys.stdout.write(probe)
        sys.stdout.flush()
    except OSError as error:
        _to_nothing(sys.stdout)
        return str(error.strerror).lower()
    return None


def _say_so(error: OSError) -> None:
    sys.stderr.write(
        f"warning: output cannot be shown any more ({str(error.strerror).lower()}): "
        "the run continues without it\nhint: marin-build status\n"
    )


class _Lasting:
    """Passes text to a stream; if that breaks, to the null device from then on.

    Args:
        original: the stream.
        broke: called once, with the error.

    """

    def __init__(self, original: TextIO, broke: Callable[[OSError], None]) -> None:
        self._original, self._broke = original, broke
        self._is_broken = False

    def write(self, text: str) -> int:
        if not isinstance(text, str):  # click tests for a binary stream this way
            raise TypeError(text)
        try:
            return self._original.write(text)
        except OSError as error:
            self._end(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._original.flush()
        except OSError as error:
            self._end(error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._original, name)

    def _end(self, error: OSError) -> None:
        if not self._is_broken:
            self._is_broken = True
            _to_nothing(self._original)
            self._broke(error)


def _to_nothing(stream: TextIO) -> None:
    """Redirect a broken stream to the null device, so that a later flush does not fail."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
        stream.flush()
