"""Standard streams: opens missing ones, and lets a run survive one that breaks."""

from __future__ import annotations

import io
import os
import sys
from _thread import get_ident
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_OUT, _ERR = 1, 2


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


class OwnOutput(io.TextIOWrapper):
    """Standard output as this program alone writes to it, by a descriptor of its own.

    Only the main thread shows anything. What another thread prints is of a thread that the
    pipeline started: it goes to standard error, unless it is seen at a terminal.

    Args:
        shared: the stream of descriptor 1, which the author's code and children print to.

    """

    def __init__(self, shared: TextIO) -> None:
        own, at_once = os.dup(shared.fileno()), bool(getattr(shared, "write_through", False))
        super().__init__(
            open(own, "wb", buffering=0 if at_once else -1),  # noqa: SIM115
            encoding=shared.encoding,
            errors="backslashreplace",
            line_buffering=os.isatty(own),
            write_through=at_once,
        )
        self.shared = shared
        self._main, self._is_seen = get_ident(), os.isatty(own)

    def write(self, text: str) -> int:
        """Write, or lead to standard error what another thread prints."""
        if get_ident() == self._main or self._is_seen:
            return super().write(text)
        return sys.stderr.write(text)

    def leave_to_parent(self) -> None:
        """Lead the descriptor of a forked process to standard error, for whatever it prints."""
        try:  # noqa: SIM105 - each function called here is some more pages for a fork to copy
            os.dup2(_ERR, self.fileno(), inheritable=False)
        except (OSError, ValueError):
            pass


@contextmanager
def own_output() -> Iterator[None]:
    """Keep standard output for what this program shows: descriptor 1 leads to standard error.

    So nothing that a pipeline prints reaches what programs read: not by Python or a C library, not
    by a child, and not late, by a thread or when the process ends.
    """
    shared = sys.stdout
    shared.flush()
    own = OwnOutput(shared)
    os.dup2(_ERR, _OUT)
    os.register_at_fork(before=lambda: _flush(own), after_in_child=own.leave_to_parent)
    sys.stdout = own
    try:
        yield
    finally:
        sys.stdout = shared
        _flush(own)


@contextmanager
def output_for_step() -> Iterator[None]:
    """Give standard output itself to a step in the foreground, and to what it starts."""
    own = sys.stdout
    if not isinstance(own, OwnOutput):
        yield
        return
    _flush(own)
    os.dup2(own.fileno(), _OUT)
    sys.stdout = own.shared
    try:
        yield
    finally:
        _flush(own.shared)
        os.dup2(_ERR, _OUT)
        sys.stdout = own


def _flush(stream: TextIO) -> None:
    try:
        stream.flush()
    except (OSError, ValueError):  # its reader is gone: nothing shall complain about that later
        _to_nothing(stream)


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
