"""Read a file of this machine that may be anything: a link, a pipe without a writer, a terabyte."""

from __future__ import annotations

import errno
import os
import shlex
import stat

from marin_build.errors import StoreError
from marin_build.store.base import Blob
from marin_build.store.bounds import most_bytes, no_document, too_long
from marin_build.workspace.regular_files import kind_of

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Neither another user's link is followed, nor is a pipe waited for that no process writes to."""
_BLOCK = 1 << 16


def version_of(status: os.stat_result) -> str:
    """Return the version of a file: which one it is, when it was written, and how long."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def read_file(path: str) -> Blob | None:
    """Return what is at a path of this machine, or None.

    What is no regular file is not read, and of a document no more than it may be long: a reader
    gets bytes that it refuses, so that its target alone is damaged.

    Raises:
        StoreError: the system refuses.

    """
    try:
        descriptor = os.open(path, _READ)
    except ValueError:  # no file has a name with a null character, or of no Unicode text
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):  # a link, socket or device
            return _not_read(path)
        raise store_error("read", path, error) from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return no_document(kind_of(status), version_of(status))
        data = os.read(descriptor, _BLOCK)
        if len(data) == _BLOCK:  # no bound is shorter
            most = most_bytes(path)
            if most is not None and status.st_size > most:
                return too_long(status.st_size, most, version_of(status))
            blocks, size = [data], _BLOCK
            while block := os.read(descriptor, _BLOCK):
                size += len(block)
                if most is not None and size > most:
                    return too_long(max(size, status.st_size), most, version_of(status))
                blocks.append(block)
            data = b"".join(blocks)
        return Blob(data, version_of(status))
    except OSError as error:
        raise store_error("read", path, error) from error
    finally:
        os.close(descriptor)


def _not_read(path: str) -> Blob | None:
    """Return what stands for something that cannot even be opened; None if it is gone by now."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return no_document("links in a circle above it, not a file", "circle")
    return no_document(kind_of(status), version_of(status))


def owner_of(path: str) -> str:
    """Return whose a file or folder is and its rights, in words: `owned by root, rights 0755`."""
    try:
        found = os.lstat(path)
    except OSError:
        return "owner unknown"
    import pwd

    try:
        name = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        name = f"user {found.st_uid}"
    return f"owned by {name}, rights {stat.S_IMODE(found.st_mode):04o}"


def store_error(verb: str, path: str, error: OSError) -> StoreError:
    """Return the error for what the system refuses to do with a file or folder."""
    what = f"cannot {verb} `{path}`: {(error.strerror or str(error)).lower()}"
    if error.errno not in (errno.EACCES, errno.EPERM) or verb in ("read", "list"):
        return StoreError(what)
    folder = os.path.dirname(path)
    return StoreError(
        what,
        facts=[("folder", f"{folder}, {owner_of(folder)}")],
        hint=_way_to_rights(folder),
    )


def _way_to_rights(folder: str) -> str:
    """Return the hint for a folder that may not be written."""
    try:
        is_ours = os.lstat(folder).st_uid == os.geteuid()
    except OSError:
        is_ours = True
    if is_ours:
        return f"a step or a person left it so: chmod u+rwx {shlex.quote(folder)}"
    share = f"chmod -R g+rwX {shlex.quote(folder)}"
    return f"its owner shares it with your group: {share}; a `umask 002` shares what is built next"
