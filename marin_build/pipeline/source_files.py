"""The files of a local folder that a source selects, each by its name below that folder.

Links are followed by name: what two names lead to counts under both. Only a folder that is one of
its own ancestors is left out, since its names would never end. What is found depends on names and
on what they lead to, never on the order in which the file system lists them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from marin_build.pipeline.glob_patterns import compile_patterns, may_match_below
from marin_build.workspace import own_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.source import Source


_Place = tuple[int, int]  # device and inode of a folder
_Found = tuple[str, Literal["file", "dangling"]]


class DanglingLinkError(Exception):
    """A link in a source that leads nowhere: `path` below the source, `leads_to` as it says."""

    def __init__(self, path: str, leads_to: str) -> None:
        super().__init__(path, leads_to)
        self.path = path
        self.leads_to = leads_to


def selected_files(source: Source, prefix: str) -> list[str]:
    """Return the files that a folder's patterns select: paths inside it with `/`, sorted.

    Args:
        source: its location is a folder.
        prefix: where outputs live; a folder inside the source is left out with all it holds.

    Raises:
        DanglingLinkError: a link that the patterns may select leads nowhere.
        OSError: a folder cannot be listed; `filename` says which.

    """
    include, exclude = compile_patterns(source.include), compile_patterns(source.exclude)
    whole = compile_patterns([each for each in source.exclude if each.endswith("**")])
    found = []
    for path, kind in _below(source.location, prefix, whole):
        if exclude(path):
            continue
        if kind == "file":
            if include(path):
                found.append(path)
        elif include(path) or may_match_below(source.include, path):
            raise DanglingLinkError(path, os.readlink(os.path.join(source.location, path)))
    return sorted(found)


def tree_line(digest: str, path: str) -> bytes:
    r"""Return the line of a file in the text whose digest is that of its folder.

    A path with a line break is escaped as sha256sum does it, behind a `\`, so that no name can look
    like two lines.
    """
    if "\n" in path:
        escaped = path.replace("\\", "\\\\").replace("\n", "\\n")
        return f"\\{digest}  {escaped}\n".encode("utf-8", "surrogateescape")
    return f"{digest}  {path}\n".encode("utf-8", "surrogateescape")


def _below(folder: str, prefix: str, is_left_out: Callable[[str], bool]) -> Iterator[_Found]:
    """Yield each file and each dangling link below `folder`, with which of them it is."""
    outputs = _place_of(prefix)
    pending: list[tuple[str, tuple[_Place, ...]]] = [("", ())]
    while pending:
        relative, ancestors = pending.pop()
        path = os.path.join(folder, relative)
        status = os.stat(path)
        place = (status.st_dev, status.st_ino)
        if place in ancestors or (relative and place == outputs):
            continue
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{relative}{entry.name}"
                match _kind_of(entry):
                    case "folder":  # in our own, each command changes something
                        if entry.name != own_folder.NAME and not is_left_out(name + "/"):
                            pending.append((name + "/", (*ancestors, place)))
                    case "file" | "dangling" as kind:
                        yield name, kind
                    case "other":  # a socket or a pipe has no content
                        pass


def _kind_of(entry: os.DirEntry[str]) -> Literal["folder", "file", "dangling", "other"]:
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "dangling" if entry.is_symlink() and not os.path.exists(entry.path) else "other"
    except OSError:  # links in a circle
        if entry.is_symlink():
            return "dangling"
        raise


def _place_of(folder: str) -> _Place | None:
    try:
        status = os.stat(folder)
    except OSError:  # a URL, or not made yet
        return None
    return status.st_dev, status.st_ino
