"""What a step does: clear leftovers, call its function or command, verify what it left."""

from __future__ import annotations

import os
import shutil
import stat
import traceback
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.documents import FileEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from marin_build.step_spec import StepSpec

_OURS = {layout.STATUS, layout.LEASE, layout.LOGS}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
SHOWN_MISSING = 5


class OutputMissingError(Exception):
    """The step ended well but did not leave what it declares."""


def clear_leftovers(output: str) -> None:
    """Delete what a failed attempt left in an output, but for our own files."""
    with os.scandir(output) as entries:
        for entry in entries:
            if entry.name in _OURS or entry.name.endswith(".tmp"):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def call(step: StepSpec, output: str) -> object:
    """Run the step; return what its function returned."""
    if step.fn is None:
        raise OutputMissingError(f"nothing builds `{step.name}`, and its output is not there")
    return step.fn(output)


def manifest_of(output: str) -> tuple[FileEntry, ...]:
    """Return the files of a local output, sorted, without our own dot files."""
    found = sorted(_files(output, ""))
    return tuple(FileEntry(path=path, size=size) for path, size in found)


def _files(folder: str, inside: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not inside and entry.name.startswith("."):
                continue
            path = inside + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, path + "/")
            else:
                status = entry.stat(follow_symlinks=False)
                yield path, status.st_size if stat.S_ISREG(status.st_mode) else 0


def verify(
    declared: Sequence[str] | None, output: str, files: Sequence[FileEntry], *, has_artifact: bool
) -> None:
    """Check that the step left what it declares.

    Raises:
        OutputMissingError: a declared output is missing or empty, or nothing was left at all.

    """
    if declared is None:
        if not files and not has_artifact:
            raise OutputMissingError(
                "the step left neither a file nor an artifact; "
                "declare `outputs=()` if that is right"
            )
        return
    missing = [path for path in declared if not _is_there(os.path.join(output, path))]
    if missing:
        shown = ", ".join(f"`{path}`" for path in missing[:SHOWN_MISSING])
        more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        raise OutputMissingError(f"declared outputs are missing or empty: {shown}{more}")


def _is_there(path: str) -> bool:
    if os.path.isdir(path):
        return bool(os.listdir(path))
    return os.path.exists(path) and os.path.getsize(path) > 0


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error without our own frames above the user's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(error), error, frame))
