"""Opens an output, or a file of it, in the program with which this system opens such things."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import NotFoundError, UsageError
from marin_build.operations.outputs.find_outputs import find_output
from marin_build.protocol.manifest import manifest_of
from marin_build.text.readable import did_you_mean, printable
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.outputs.find_outputs import FoundOutputs


@dataclass(frozen=True, slots=True)
class ToOpen:
    """What is to be opened.

    Args:
        path: an absolute path of a folder or a file, or a URL.
        found: how it was found.

    """

    path: str
    found: FoundOutputs


def find_to_open(options: PipelineOptions, word: str, file: str | None = None) -> ToOpen:
    """Find an output, or a file of it; an output of a single file is that file.

    Args:
        options: name the pipeline and its prefix.
        word: a selector of one target, or a word that names one identity.
        file: a file of the output, or a folder in it.

    Raises:
        UsageError: the word names no output, or several; it is not built; it has no such file.
        StoreError: the store cannot be read.

    """
    output, found = find_output(options, word)
    if not output.is_built:
        raise UsageError(
            f"`{output.target}` is not built",
            facts=[("output", output.path)],
            consequence="nothing was opened",
            hint="marin-build apply builds it",
        )
    paths = [each.path for each in manifest_of(found.store, output.data)]
    if file is None:
        inside = paths[0] if len(paths) == 1 else ""
    else:
        inside = file.rstrip("/")
        if inside not in paths and not any(path.startswith(f"{inside}/") for path in paths):
            raise NotFoundError(
                f"`{output.target}` has no file `{printable(file)}`",
                facts=[("output", output.data), ("files", str(len(paths)))],
                consequence="nothing was opened",
                hint=did_you_mean(file, paths),
            )
    return ToOpen(f"{output.data}/{inside}".rstrip("/"), found)


def viewer_of(
    environ: Mapping[str, str],
    which: Callable[[str], str | None] = shutil.which,
    platform: str = sys.platform,
) -> tuple[str, ...] | None:
    """Return the command that opens what its last word names; None if there is none.

    Args:
        environ: BROWSER may name commands, separated by `:`, with `%s` in place of what they open.
            On a system with windows, they need a screen.
        which: returns the path of a program, or None.
        platform: as `sys.platform`.

    """
    for words in filter(None, map(_split, environ.get("BROWSER", "").split(os.pathsep))):
        if which(words[0]):
            return tuple(words)
    if platform == "darwin":
        return ("open",) if which("open") else None
    has_screen = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")
    if has_screen and which("xdg-open"):
        return ("xdg-open",)
    return ("wslview",) if which("wslview") else None


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # a quotation mark without its partner
        return []


def why_not_opened(path: str, viewer: Sequence[str] | None) -> str:
    """Return why nothing on this machine opens a path; empty if it can be tried."""
    if is_url(path):
        return "it lies in a bucket, which no program of this machine opens"
    if viewer is None:
        return "no program is known that opens it: set BROWSER"
    return ""


def open_with(viewer: Sequence[str], path: str) -> str:
    """Open a path, and wait until the command ends; return why that failed, or an empty text."""
    has_place = any("%s" in word for word in viewer[1:])
    argv = [word.replace("%s", path) for word in viewer] if has_place else [*viewer, path]
    try:
        code = subprocess.run(argv, check=False).returncode
    except OSError as error:
        return f"{viewer[0]}: {(error.strerror or str(error)).lower()}"
    return f"{viewer[0]} ended with exit code {code}" if code else ""
