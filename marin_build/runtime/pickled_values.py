"""Pickles of `disk_cache`. To load one runs whatever code its writer put into it.

So they are used only where the author says so, and on this machine only where nobody else can have
written one: as `ssh` does with its keys, the file and each folder above it is looked at.
"""

from __future__ import annotations

import os
import pickle
import stat
from typing import Any

from marin_build.errors import StoppedError
from marin_build.workspace.places import is_url


def pickled(value: object) -> bytes:
    """Return a value as a pickle; functions and classes of a script are in it whole."""
    import cloudpickle

    data: bytes = cloudpickle.dumps(value)
    return data


def unpickled(data: bytes) -> Any:
    """Return the value in a pickle; anything may be raised, and anything may be run."""
    return pickle.loads(data)  # noqa: S301 - the author allowed it, and nobody else wrote it


def refuse_others(path: str) -> None:
    """Refuse to load a pickle, or to keep one, where another user may write it.

    Args:
        path: the file, which need not be there; of a bucket nothing can be said here.

    Raises:
        StoppedError: another user may change the file, or a folder above it.

    """
    if is_url(path):
        return
    found = _writable_by_others(path)
    if found is not None:
        place, why = found
        raise StoppedError(
            "a pickle is not used where other users may write it: to load one runs their code",
            facts=[("place", place), ("reason", why), ("pickle", path)],
            consequence="nothing was loaded, and nothing was run",
            hint=f"make it yours alone, `chmod go-w {place}`; "
            "or go without `pickle=True`, with `save_fn` and `load_fn`",
        )


def _writable_by_others(path: str) -> tuple[str, str] | None:
    """Return the first place, from a file upwards, that another user may change, and why."""
    place = os.path.realpath(path)
    while True:
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            pass
        else:
            if status.st_uid not in (0, os.geteuid()):
                return place, f"it belongs to user {status.st_uid}"
            others = stat.S_IWOTH | (0 if _is_own_group(status.st_gid) else stat.S_IWGRP)
            is_sticky = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
            if status.st_mode & others and not is_sticky:
                return place, f"its rights are {stat.S_IMODE(status.st_mode):04o}"
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def _is_own_group(number: int) -> bool:
    """Return whether a group is that of this user alone, as many systems make one for each user."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
