"""Logs of attempts: the end of a failed one, the last line of a running one, one as it grows."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

from marin_build._package import is_ours
from marin_build.errors import StoreError
from marin_build.plan.reasons import FailedBefore, HeldBy, HeldByWork
from marin_build.protocol import layout
from marin_build.protocol.log_format import without_stamps
from marin_build.text.readable import printable, shortened
from marin_build.workspace.own_files import open_own
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import BinaryIO

    from marin_build.plan.decisions import Plan
    from marin_build.store.base import Store


_MOST_LOCAL = 50
_MOST_REMOTE = 10
"""How many targets have the end of their log shown: a person does not read more."""
_LARGEST_REMOTE = 1 << 20
"""Bytes. A log in a bucket can only be read whole."""


def ends_of_logs(store: Store, plan: Plan) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Return target -> the title of its log, and its last lines; for targets that failed or run.

    Of logs in a bucket only small ones are read; those of running attempts are not there yet.

    Raises:
        StoreError: the store cannot be read.

    """
    local, remote = dict[int, tuple[str, int]](), dict[int, tuple[str, int]]()
    for index, attempt in _attempts(plan):
        output = plan.targets.all[index].output_path
        wanted, most = (remote, _MOST_REMOTE) if is_url(output) else (local, _MOST_LOCAL)
        if len(wanted) < most:
            wanted[index] = output, attempt
    found = {
        index: (_title(attempt), tuple(log_tail(layout.log_path(output, attempt))))
        for index, (output, attempt) in local.items()
    }
    found |= _remote(store, remote)
    return {index: (title, lines) for index, (title, lines) in found.items() if lines}


def _attempts(plan: Plan) -> Iterator[tuple[int, int]]:
    """Yield each target that failed or runs, and the number of its attempt."""
    for decision in plan.decisions:
        match decision.reason:
            case FailedBefore(attempt=attempt) if attempt:
                yield decision.index, attempt
            case HeldBy() | HeldByWork():
                lease = plan.snapshot.of(decision.index).lease
                if lease is not None and lease.attempt:
                    yield decision.index, lease.attempt


def _remote(
    store: Store, wanted: Mapping[int, tuple[str, int]]
) -> dict[int, tuple[str, tuple[str, ...]]]:
    if not wanted:
        return {}

    def is_small(place: tuple[str, int]) -> bool:
        output, attempt = place
        name = layout.log_path("", attempt).rpartition("/")[2]
        sizes = {file.path: file.size for file in store.files(f"{output}/{layout.LOGS}")}
        return sizes.get(name, _LARGEST_REMOTE) < _LARGEST_REMOTE

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(_MOST_REMOTE) as pool:
        small = list(pool.map(is_small, wanted.values()))
    kept = {index: wanted[index] for index, fits in zip(wanted, small, strict=True) if fits}
    blobs = store.get_many([layout.log_path(*place) for place in kept.values()])
    return {
        index: (_title(attempt), tuple(last_lines(blob.data)))
        for (index, (_, attempt)), blob in zip(kept.items(), blobs, strict=True)
        if blob is not None
    }


def _title(attempt: int) -> str:
    return f"end of the log of attempt {attempt}"


_SHOWN_BYTES = 4096
_LONGEST = 400
"""Characters; no terminal is wider."""
_CLOCK_SLACK = 1.0
"""Seconds by which the time of a file may lie before that of the clock."""
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, and what moves the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and links
)


def last_line(folder: str, since: float) -> str:
    """Return the last line in the log of the attempt that runs; empty if it printed nothing.

    Escape sequences are removed from it. A log that cannot be read counts as empty.

    Args:
        folder: holds the logs of a target, on this machine.
        since: when the attempt began, by the clock of files. Logs of earlier ones are passed over.

    """
    try:
        names = os.listdir(folder)
        newest = max((n for name in names if (n := number_of_log(name)) is not None), default=None)
        # The document of an attempt is written when it ends.
        if newest is None or layout.attempt_name(newest) in names:
            return ""
        path = os.path.join(folder, log_name(newest))
        with open(open_own(path, os.O_RDONLY), "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_mtime < since - _CLOCK_SLACK:
                return ""
            stream.seek(max(0, status.st_size - _SHOWN_BYTES))
            return last_shown(without_stamps(stream.read()).decode("utf-8", "replace"))
    except OSError:
        return ""


def last_shown(text: str) -> str:
    """Return the last line of a text that has something to read, harmless for a terminal."""
    for line in reversed(text.split("\n")):
        if shown := without_escapes(line.replace("\t", " ")).strip():
            return printable(shown[:_LONGEST])
    return ""


def without_escapes(text: str) -> str:
    """Return a text without the sequences that colour it, move the cursor or name the window."""
    return _ESCAPE.sub("", text)


def log_name(number: int) -> str:
    """Return the name of the log of an attempt in the folder of logs."""
    return layout.attempt_name(number).removesuffix(".json") + ".log"


def number_of_log(name: str) -> int | None:
    """Return the attempt that the name of a log stands for; None for other files."""
    stem, _, kind = name.rpartition(".")
    return layout.attempt_number(f"{stem}.json") if kind == "log" else None


_BLOCK = 1 << 16


def copy_log(
    find: Callable[[], str],
    is_over: Callable[[], bool],
    write: Callable[[bytes], object],
    wait: Callable[[], object],
) -> None:
    """Copy a file and all that is appended to it, until it grows no more.

    Args:
        find: returns the path of a file that a process appends to; it may not be there yet.
        is_over: whether it grows no more; asked before the file is read, so that nothing is lost.
        write: takes the bytes.
        wait: waits a little.

    """
    with ExitStack() as stack:
        stream: BinaryIO | None = None
        while True:
            over = is_over()
            if stream is None:
                stream = _open(find(), stack)
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
        return stack.enter_context(open(open_own(path, os.O_RDONLY), "rb"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"cannot read the log `{path}`: {str(error.strerror).lower()}") from None


_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_FRAME = re.compile(r'  File "(?P<file>.*)", line \d+, in ')
_LIBRARY = re.compile(r"[/\\](site|dist)-packages[/\\]|/lib/python3[^/]*/|^<frozen |\.zip/")


def log_tail(path: str, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a local log, tracebacks cut; none if it cannot be read."""
    try:
        with open(open_own(path, os.O_RDONLY), "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL_BYTES))
            return last_lines(stream.read(), lines)
    except OSError:
        return []


def last_lines(log: bytes, lines: int = _TAIL_LINES) -> list[str]:
    """Return the last lines of a log, without their times, tracebacks cut."""
    text = without_stamps(log[-_TAIL_BYTES:]).decode("utf-8", "replace")
    return [
        "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in shortened(line, 1000))
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
