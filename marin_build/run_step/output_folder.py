"""What a step leaves: clearing what a failed attempt left, listing it, checking it."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt
from marin_build.protocol.record_reader import adopted_from, parse_record
from marin_build.run_step.leftover_rights import clear_folder
from marin_build.store.folder_place import in_the_way
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from marin_build.store.base import File, Store


_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
ADOPTED_HERE = "it was adopted where it lies: to build it again would delete that data"


def refuse_to_clear_adopted(store: Store, output: str) -> None:
    """Refuse to clear data that a person adopted where it lies: it may be the only copy.

    Raises:
        StoppedError: the record beside it says so; or, if that is damaged, an attempt.

    """
    if was_adopted_here(store, output):
        raise StoppedError(ADOPTED_HERE, hint=way_to_rebuild(output))


def was_adopted_here(store: Store, output: str) -> bool:
    """Return whether what lies at an output was registered there, not built."""
    path = f"{output}/{layout.RECORD}"
    blob = store.get(path)
    if blob is None:
        return False
    if (place := adopted_from(blob.data)) is not None:
        return place == output
    try:
        parse_record(blob.data, path)
    except CorruptStateError:  # the attempt that committed it has a copy
        folder = f"{output}/{layout.LOGS}"
        names = [name for name in store.list(folder) if layout.attempt_number(name)]
        attempts = store.get_many([f"{folder}/{name}" for name in names])
        return any(attempt is not None and _adopted(attempt.data, output) for attempt in attempts)
    return False


def _adopted(attempt: bytes, output: str) -> bool:
    """Return whether an attempt adopted what lies at an output, or may have: it is damaged too.

    One that is empty was a build's: `adopt` waits until what it writes is on disk.
    """
    if not attempt:
        return False
    try:
        committed = parse_attempt(attempt, output).committed
    except CorruptStateError:
        return True
    return committed is not None and committed.record.adopted_from == output


def way_to_rebuild(output: str) -> str:
    """Return the hint on how to build a target whose data was adopted where it lies."""
    return f"move `{output}` away, or delete it yourself; then apply builds it"


def clear_leftovers(store: Store, output: str, *, is_held: Callable[[], bool]) -> bool:
    """Delete the data that an earlier attempt left in an output; our own files stay.

    Args:
        store: where the output lives.
        output: the output path.
        is_held: whether we still hold the lease; asked after the listing, which takes time.

    Returns:
        False if we did not hold the lease any more, and nothing was deleted.

    """
    if is_url(output):
        files = [file.path for file in store.files(output)]
        leftovers = [
            f"{output}/{path}" for path in files if not layout.is_kept(path.partition("/")[0])
        ]
        if leftovers and not is_held():
            return False
        store.delete(leftovers)
        return True
    clear_folder(output, layout.is_kept)
    return True


def digests_of(output: str, files: Iterable[File]) -> dict[str, str]:
    """Return the sha-256 of the files of a local output, by path.

    Raises:
        OSError: one cannot be read.

    """
    found: dict[str, str] = {}
    for path, _ in files:
        full = f"{output}/{path}"
        if os.path.isfile(full):  # to read a pipe would wait for its writer
            with open(full, "rb") as stream:
                found[path] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def protect(output: str) -> None:
    """Make a committed output read-only, if it is local, as far as its file system can."""
    if not is_url(output) and in_the_way(output) is None:
        with suppress(OSError):
            set_read_only(output, is_read_only=True)


def set_read_only(output: str, *, is_read_only: bool) -> None:
    """Make the data of a local output read-only, or writable by its owner again.

    What is ours stays writable, and so does the output folder itself, since it holds that. Links
    and what they point to are left alone. So is what cannot be changed: it belongs to another user.
    """
    with os.scandir(output) as entries:
        pending = [entry for entry in entries if not entry.name.startswith(".")]
    while pending:
        entry = pending.pop()
        if entry.is_symlink():
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and os.path.lexists(f"{entry.path}/{layout.STATUS}"):
            continue  # another output
        with suppress(OSError):
            if is_folder and not is_read_only:  # else it cannot be listed
                _set_mode(entry, is_read_only=False, is_folder=True)
            if is_folder:
                with os.scandir(entry.path) as inner:
                    pending.extend(inner)
            if is_read_only or not is_folder:
                _set_mode(entry, is_read_only=is_read_only, is_folder=is_folder)


def _set_mode(entry: os.DirEntry[str], *, is_read_only: bool, is_folder: bool) -> None:
    before = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
    owner = stat.S_IRWXU if is_folder else stat.S_IRUSR | stat.S_IWUSR
    after = before & ~_WRITE if is_read_only else before | owner
    if after != before:
        os.chmod(entry.path, after)
