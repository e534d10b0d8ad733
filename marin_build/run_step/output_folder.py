"""What a step leaves: clearing what a failed attempt left, listing it, checking it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoppedError
from marin_build.protocol import layout
from marin_build.protocol.attempt_reader import parse_attempt
from marin_build.protocol.record_reader import adopted_from, parse_record
from marin_build.store.base import GUARD
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.store.base import Store


# Record and artifact too: only a commit may change them, and it does so on a condition.
_KEPT = {
    layout.STATUS,
    layout.LEASE,
    layout.LOGS,
    GUARD,
    layout.RECORD,
    layout.ARTIFACT,
    layout.ACCEPTED,
}
ADOPTED_HERE = "it was adopted where it lies: to build it again would delete that data"


def has_foreign(output: str) -> bool:
    """Return whether a local output holds files that no attempt of ours made."""
    return any(not name.startswith(".") for name in os.listdir(output))


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
        return any(_adopted(attempt.data, output) for attempt in attempts if attempt is not None)
    return False


def _adopted(attempt: bytes, output: str) -> bool:
    """Return whether an attempt adopted what lies at an output, or may have: it is damaged too."""
    try:
        committed = parse_attempt(attempt, output).committed
    except CorruptStateError:
        return True
    return committed is not None and committed.record.adopted_from == output


def way_to_rebuild(output: str) -> str:
    """Return the hint on how to build a target whose data was adopted where it lies."""
    return f"move `{output}` away, or delete it yourself; then apply builds it"


def _delete_folder(path: str) -> None:
    """Delete a folder and what is in it, however deep that is."""
    try:
        shutil.rmtree(path)
    except RecursionError:  # Python 3.11 goes down by recursion
        _delete_deep_folder(path)


def _delete_deep_folder(path: str) -> None:
    folders = [path]
    for folder in folders:  # and what is appended meanwhile
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
    for folder in reversed(folders):
        os.rmdir(folder)


def clear_leftovers(store: Store, output: str, *, is_held: Callable[[], bool]) -> bool:
    """Delete the data that an earlier attempt left in an output; what is ours stays.

    Args:
        store: where the output lives.
        output: the output path.
        is_held: whether it is still ours, asked after the time that a listing takes.

    Returns:
        False if it was not ours any more, and nothing was deleted.

    """
    if is_url(output):
        paths = [f"{output}/{file.path}" for file in store.files(output)]
        kept = tuple(f"{output}/{name}" for name in _KEPT)
        leftovers = [path for path in paths if not path.startswith(kept)]
        if leftovers and not is_held():
            return False
        store.delete(leftovers)
        return True
    with os.scandir(output) as entries:
        for entry in entries:
            if entry.name in _KEPT:
                continue
            if entry.is_dir(follow_symlinks=False):
                _delete_folder(entry.path)
            else:
                os.unlink(entry.path)
    return True
