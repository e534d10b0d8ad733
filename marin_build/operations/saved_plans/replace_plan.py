"""Writing a plan directory: beside the plan that is there, which stays usable until all is written.

    DIR/.marin-build-unfinished-*   what is being written; it counts for nothing
    DIR/.marin-build-next           a whole new plan: it is in force, and its files move to DIR

A process may die at any time. The rename of the first folder to the second one decides: before it
the old plan is there, untouched; after it the next reader finishes what is left of the move.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import ValidationError

from marin_build.errors import StoppedError, StoreError, UsageError
from marin_build.plan.document import (
    PLAN_FILE,
    SIGNATURE_FILE,
    PlanDocument,
    is_intact,
    parse_plan,
)
from marin_build.plan.plan_id import text_digest
from marin_build.workspace.places import refuse_url
from marin_build.workspace.regular_files import LONGEST_PLAN, read_regular

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

_NEXT = ".marin-build-next"
_UNFINISHED = ".marin-build-unfinished-"
SIGNATURE_START = b"-----BEGIN SSH SIGNATURE-----"
_SHOWN = 10
_OTHER_FOLDER = "name another folder with -o"
_NOTHING_WRITTEN = "nothing was written"


def write_plan_directory(folder: str, files: Mapping[str, str]) -> None:
    """Write a plan directory; an older plan in it is replaced, anything else is left alone.

    Of an older plan only the files are deleted that it lists, and that are as it lists them.

    Raises:
        UsageError: the folder holds files but no plan, or something is in the way of the new one.
        StoreError: it cannot be written; what was there is as it was.

    """
    refuse_url(folder, "a plan directory", "-o plans/NAME")
    is_new = not os.path.lexists(folder)
    try:
        if not is_new:
            finish_replacement(folder)
            _check_replaceable(folder, files)
        os.makedirs(folder, exist_ok=True)
        _remove_unfinished(folder)
        _write(folder, files)
        finish_replacement(folder)
    except OSError as error:
        if is_new:
            with suppress(OSError):
                os.rmdir(folder)
        raise StoreError(
            f"cannot write the plan to `{folder}`: {error.strerror or error}",
            consequence=None if is_new else "the plan that was there is as it was",
        ) from error


def finish_replacement(folder: str) -> None:
    """Finish the move of a new plan that is whole, if a process died while it moved one.

    Raises:
        OSError: the folder cannot be written.

    """
    staged = os.path.join(folder, _NEXT)
    if not os.path.isdir(staged) or os.path.islink(staged):
        return
    new = _plan_in(staged)
    if new is not None:  # else it has moved, and only empty folders and its signature are left
        old = _plan_in(folder)
        if old is not None:
            _delete(folder, {p: d for p, d in old.files.items() if p not in new.files})
        _replace_signature(staged, folder)
        for path in [*_files_below(staged, leave_out={PLAN_FILE, SIGNATURE_FILE}), PLAN_FILE]:
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with suppress(FileNotFoundError):  # another process finishes it, too
                os.rename(os.path.join(staged, path), place)
    signature = os.path.join(staged, SIGNATURE_FILE)
    with suppress(FileNotFoundError):
        if _is_signature(signature):
            os.unlink(signature)
    for place, _, _ in os.walk(staged, topdown=False):
        with suppress(OSError):  # it holds what no plan of ours wrote
            os.rmdir(place)


def _replace_signature(staged: str, folder: str) -> None:
    """Put the signature of a new plan, or none, in the place of the old one's.

    It is copied and not moved: a process that finishes the work of a dead one must still see
    whether the new plan has a signature.
    """
    new, old = (os.path.join(each, SIGNATURE_FILE) for each in (staged, folder))
    with suppress(FileNotFoundError):  # another process finishes it, too
        if _is_signature(new):
            shutil.copyfile(new, old)
        elif _is_signature(old):
            os.unlink(old)


def _is_signature(path: str) -> bool:
    """Return whether a file is a signature by ssh-keygen, and not one of the user's own."""
    if os.path.islink(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as stream:
        return stream.read(len(SIGNATURE_START)) == SIGNATURE_START


def file_digest(folder: str, name: str) -> str | None:
    """Return the digest of a file of a plan, as its plan.json has it; None if it cannot be read."""
    try:
        with open(
            os.path.join(folder, name), encoding="utf-8", errors="surrogateescape", newline=""
        ) as stream:
            return text_digest(stream.read())
    except OSError:
        return None


def _check_replaceable(folder: str, files: Mapping[str, str]) -> None:
    """Refuse a folder in which a new plan would delete or overwrite what is no plan of ours."""
    if not os.path.isdir(folder):
        raise UsageError(
            f"`{folder}` is not a folder", consequence=_NOTHING_WRITTEN, hint=_OTHER_FOLDER
        )
    names = [name for name in os.listdir(folder) if not name.startswith(_UNFINISHED)]
    if not names:
        return
    if not os.path.lexists(os.path.join(folder, PLAN_FILE)):
        raise UsageError(
            f"the folder `{folder}` is not empty and holds no plan",
            consequence=_NOTHING_WRITTEN,
            hint=_OTHER_FOLDER,
        )
    old = _plan_in(folder)
    if old is None:
        raise UsageError(
            f"the `{PLAN_FILE}` in `{folder}` is not that of a plan directory",
            consequence=_NOTHING_WRITTEN,
            hint=f"{_OTHER_FOLDER}; `plan --json` writes no plan directory",
        )
    edited = [
        name
        for name, digest in old.files.items()
        if os.path.lexists(os.path.join(folder, name)) and file_digest(folder, name) != digest
    ]
    if edited:
        raise UsageError(
            f"the plan in `{folder}` was edited after it was made",
            facts=[("differs", "\n".join(edited[:_SHOWN]))],
            consequence=_NOTHING_WRITTEN,
            hint=f"move what you want to keep away and delete the folder, or {_OTHER_FOLDER}",
        )
    ours = {*old.files, PLAN_FILE}
    if _is_signature(os.path.join(folder, SIGNATURE_FILE)):
        ours.add(SIGNATURE_FILE)
    in_the_way = list(_in_the_way(folder, files, ours))
    if in_the_way:
        raise UsageError(
            f"files in `{folder}` that are not of its plan are in the way of the new one",
            facts=[("files", "\n".join(in_the_way[:_SHOWN]))],
            consequence=_NOTHING_WRITTEN,
            hint=f"move them away, or {_OTHER_FOLDER}",
        )


def _in_the_way(folder: str, files: Iterable[str], ours: set[str]) -> Iterator[str]:
    """Yield the paths that are not ours where a new plan has a file, or not a folder of its own."""
    checked: set[str] = set()
    for path in files:
        if path not in ours and os.path.lexists(os.path.join(folder, path)):
            yield path
        parent = os.path.dirname(path)
        while parent and parent not in checked:
            checked.add(parent)
            place = os.path.join(folder, parent)
            is_folder = os.path.isdir(place) and not os.path.islink(place)
            if os.path.lexists(place) and not is_folder and parent not in ours:
                yield parent
            parent = os.path.dirname(parent)


def _plan_in(folder: str) -> PlanDocument | None:
    """Return the plan whose directory a folder is, None if it is none: `plan --json` makes none."""
    try:
        data = read_regular(os.path.join(folder, PLAN_FILE), LONGEST_PLAN)
        plan = parse_plan(data, "the plan")
    except (OSError, StoppedError, ValidationError):
        return None
    return (
        plan if plan.files and is_intact(data, plan) and all(map(_is_inside, plan.files)) else None
    )


def _is_inside(path: str) -> bool:
    return path == os.path.normpath(path) and not path.startswith(("/", "../")) and path != ".."


def _write(folder: str, files: Mapping[str, str]) -> None:
    """Write a new plan beside the old one, and put it in force."""
    staging = tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder)
    lock = os.open(staging, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems have no locks for folders
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path, text in files.items():
            full = os.path.join(staging, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                stream.write(text)
            if path.endswith(".sh") and path != "environment.sh":
                os.chmod(full, 0o755)  # noqa: S103 - scripts are there to be run
        os.rename(staging, os.path.join(folder, _NEXT))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _remove_unfinished(folder: str) -> None:
    """Remove what processes left that died while they wrote; a living one holds its folder."""
    for name in os.listdir(folder):
        if name.startswith(_UNFINISHED):
            place = os.path.join(folder, name)
            with suppress(OSError):
                lock = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(place, ignore_errors=True)
                finally:
                    os.close(lock)


def _delete(folder: str, files: Mapping[str, str]) -> None:
    """Delete files that are as their plan lists them, and the folders that this leaves empty."""
    for path, digest in files.items():
        parents = [os.path.join(folder, parent) for parent in _parents(path)]
        if any(map(os.path.islink, parents)) or file_digest(folder, path) != digest:
            continue
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, path))
        for parent in parents:
            with suppress(OSError):
                os.rmdir(parent)


def _parents(path: str) -> list[str]:
    """Return the folders around a path, the innermost first."""
    found = []
    while path := os.path.dirname(path):
        found.append(path)
    return found


def _files_below(folder: str, *, leave_out: Container[str]) -> list[str]:
    found = [
        os.path.relpath(os.path.join(start, name), folder)
        for start, _, names in os.walk(folder)
        for name in names
    ]
    return sorted(path for path in found if path not in leave_out)
