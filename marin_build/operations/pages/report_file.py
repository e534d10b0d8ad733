"""The file of a report: what it may replace, and how it is written."""

from __future__ import annotations

import os
import stat

from marin_build.emit.report.page import GENERATOR
from marin_build.errors import NOTHING_WRITTEN, UsageError
from marin_build.workspace.whole_files import write_whole

_HEAD = 1024
"""Bytes at the beginning of a page among which it says what wrote it."""


def refuse_to_replace(path: str) -> None:
    """Refuse to replace a file that is no report of ours, when no person chose that name.

    Raises:
        UsageError: such a file is there.

    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return
        with open(path, "rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return
    if head and GENERATOR.encode() not in head:
        raise UsageError(
            f"`{path}` is there, and is no report of marin-build",
            consequence=NOTHING_WRITTEN,
            hint=f"choose another file with -o; -o {path} replaces it",
        )


def write_report(path: str, text: str) -> None:
    """Write a report to a file; the folder is made if it is not there.

    Raises:
        UsageError: it cannot be written.

    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise UsageError(
            f"cannot write the report to `{path}`",
            facts=[("reason", (error.strerror or str(error)).lower())],
            consequence=NOTHING_WRITTEN,
        ) from error
