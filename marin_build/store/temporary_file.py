"""A file that is written beside its place, and is whole when it is moved there."""

from __future__ import annotations

import itertools
import os
import time

from marin_build.store.local_read import store_error, version_of

_counter = itertools.count()


def write_temporary(
    path: str, data: bytes, folder: int, *, is_lasting: bool = False
) -> tuple[str, str]:
    """Write a file beside `path`, in its opened folder; return its name and its version.

    Args:
        path: where the file is to be moved.
        data: its content.
        folder: descriptor of the folder that `path` lies in.
        is_lasting: whether to wait until it is on disk: whenever the power goes, what lies at its
            place then is either whole or what lay there before, and never empty.

    Raises:
        StoreError: it cannot be written; nothing is left.

    """
    temporary = f"{os.path.basename(path)}.{os.getpid()}-{next(_counter)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, 0o644, dir_fd=folder)
        try:
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, data[written:])
            # The kernel's own clock may stand still for 10 ms, and a file's number is given
            # away as soon as the file is gone: two writes must differ all the same.
            now = time.time_ns()
            os.utime(descriptor, ns=(now, now))
            if is_lasting:
                os.fsync(descriptor)
            return temporary, version_of(os.fstat(descriptor))
        except OSError:
            os.unlink(temporary, dir_fd=folder)
            raise
        finally:
            os.close(descriptor)
    except OSError as error:
        raise store_error("write", path, error) from error
