"""A failure, complete: what people need so that they need not open a log."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from marin_build._package import is_ours
from marin_build.amounts import bytes_text
from marin_build.exit_meaning import KILLED, unsaid_meaning
from marin_build.printable import printable
from marin_build.run_step.log_lines import without_stamps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from marin_build.apply.events import StepFailed

_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_CAUSES = {"oom": "out of memory", "infra": "infrastructure, not the step itself"}
"""Those that deserve a line; the others are told by the code and the message."""
_SHOWN_NAMES = 5
_FRAME = re.compile(r'  File "(?P<file>.*)", line \d+, in ')
_LIBRARY = re.compile(r"[/\\](site|dist)-packages[/\\]|/lib/python3[^/]*/|^<frozen |\.zip/")


def failure_block(
    failure: StepFailed,
    *,
    blocked: Sequence[str],
    went_on: int,
    not_started: int,
    hint: str,
    tries: int = 1,
) -> str:
    """Return all there is to say about a failed attempt, without a trailing newline.

    Args:
        failure: how it failed.
        blocked: the targets that need it.
        went_on: how many targets were built after it failed.
        not_started: how many targets were left alone for it.
        hint: what to do next.
        tries: how often this run tried it.

    """
    attempt = f" (attempt {failure.attempt})" if failure.attempt else ""
    message = first_line(failure.message)
    head = (
        f"\nerror: `{failure.name}` failed with exit code {failure.exit_code}{attempt}: {message}"
    )
    lines = [click.style(head, fg="red")]
    lines += [f"  | {line}" for line in log_tail(failure.log)]
    if meaning := unsaid_meaning(failure.exit_code, failure.message):
        lines.append(f"  means:   {meaning}")
    if (words := _CAUSES.get(failure.cause, "")) and words not in failure.message:
        lines.append(f"  cause:   {words}")
    if failure.peak_memory_bytes and (failure.cause == "oom" or failure.exit_code == KILLED):
        lines.append(f"  memory:  {bytes_text(failure.peak_memory_bytes)} at its peak")
    if tries > 1:
        lines.append(f"  tried:   {tries} times")
    if failure.log:
        lines.append(f"  log:     {failure.log}")
    if blocked:
        lines.append(f"  blocked: {some_of(blocked)}")
    if went_on:
        lines.append(f"  went on: {went_on} target{'s' if went_on != 1 else ''} built since")
    if not_started:
        lines.append(f"  not started: {not_started} (-k goes on with what can be built)")
    return "\n".join([*lines, f"hint: {hint}"])


def some_of(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are: `a, b, c, d, e and 12 more`."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def first_line(text: str) -> str:
    """Return the first line of what a step said, without what a terminal would obey."""
    return printable(text.splitlines()[0]) if text else ""


def log_tail(path: str, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a local log, tracebacks cut; none if it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            return last_lines(stream.read(), lines)
    except OSError:
        return []


def last_lines(log: bytes, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a log, without their times, tracebacks cut."""
    text = without_stamps(log[-_TAIL_BYTES:]).decode("utf-8", "replace")
    return [
        "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in line)
        for line in cut_tracebacks(text.splitlines())[-lines:]
    ]


def cut_tracebacks(lines: Sequence[str]) -> list[str]:
    """Return lines in which Python's tracebacks show the user's frames only.

    Frames of libraries, of Python's own and of this package are counted instead. Where there are
    no others, the last one is left.
    """
    found: list[str] = []
    frames: list[list[str]] = []
    for line in lines:
        if _FRAME.match(line):
            frames.append([line])
        elif frames and line.startswith(("    ", "  [Previous line repeated")):
            frames[-1].append(line)
        else:
            found += _cut(frames)
            found.append(line)
            frames = []
    return [*found, *_cut(frames)]


def _cut(frames: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of one traceback's frames."""
    kept = [_is_users(frame[0]) for frame in frames]
    if kept and not any(kept):
        kept[-1] = True
    left_out = 0
    for frame, is_kept in zip(frames, kept, strict=True):
        if is_kept:
            yield from _counted(left_out)
            yield from frame
            left_out = 0
        else:
            left_out += 1
    yield from _counted(left_out)


def _counted(frames: int) -> Iterator[str]:
    if frames:
        yield f"  ... {frames} frame{'s' if frames != 1 else ''} of libraries"


def _is_users(line: str) -> bool:
    match = _FRAME.match(line)
    file = match["file"] if match else ""
    return not (is_ours(file) or _LIBRARY.search(file))
