"""Stable names for people: `{prefix}/.marin-build/latest/<name>` leads to the newest build.

On a disk it is a symbolic link, in a bucket a small object that holds the URL. Planning never reads
them. A publisher writes one before SUCCESS, so that it is there once the target is built; in a
bucket while it writes the record, so that its commit takes hardly longer. Where two publish at
once, the last one wins. A pointer that cannot be written is no reason to keep back what was built.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.store.local_link import replace_link
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.protocol.documents import Record
    from marin_build.store.base import Store


_LONGEST = 4096
"""Bytes of the longest pointer."""


def point_to_latest(store: Store, output: str, record: Record) -> Callable[[], None]:
    """Have the pointer of a name lead to the data of a build; what is no pointer stays there.

    Args:
        store: where the output lies.
        output: the output path; one that its step chose itself has no pointer.
        record: that of the build.

    Returns:
        A function that waits until that is done, or has failed.

    """
    prefix = layout.prefix_of_output(output, record.name, record.target)
    if prefix is None:
        return _do_nothing
    path, data = layout.latest_path(prefix, record.name), record.adopted_from or output
    if is_url(output):
        writer = threading.Thread(target=_put_pointer, args=(store, path, data), daemon=True)
        writer.start()
        return writer.join
    if not is_url(data) and os.path.isdir(output):  # not where a store only seems to be a disk
        inside = data.removeprefix(f"{prefix}/")
        with suppress(StoreError, OSError):
            replace_link(path, data if inside == data else f"../../{inside}")
    return _do_nothing


def _do_nothing() -> None:
    """Wait for nothing."""


def _put_pointer(store: Store, path: str, to: str) -> None:
    data = f"{to}\n".encode()
    with suppress(StoreError):
        blob = store.get(path)
        if blob is None:
            store.put_if_absent(path, data)
        elif blob.data != data and read_pointer(blob.data) is not None:
            store.replace_if(path, data, blob.version)


def read_pointer(data: bytes) -> str | None:
    """Return where a pointer in a bucket leads; None if the data are no pointer."""
    if len(data) > _LONGEST or not data.endswith(b"\n"):
        return None
    try:
        place = data[:-1].decode()
    except UnicodeDecodeError:
        return None
    return place if place.isprintable() and (is_url(place) or place.startswith("/")) else None


def forget_latest(store: Store, prefix: str, name: str, output: str) -> None:
    """Remove the pointer of a name if it leads to an output that is gone."""
    path = layout.latest_path(prefix, name)
    with suppress(StoreError, OSError):
        if not is_url(prefix):
            inside = output.removeprefix(f"{prefix}/")
            if os.path.islink(path) and os.readlink(path) == f"../../{inside}":
                os.unlink(path)
            return
        blob = store.get(path)
        if blob is not None and read_pointer(blob.data) == output:
            store.delete_if(path, blob.version)


def read_pointers(store: Store, prefix: str) -> frozenset[str]:
    """Return the places that the pointers under a prefix lead to; they need not be there.

    It takes a listing, and one batch of reads in a bucket.

    Raises:
        StoreError: the store cannot be read.

    """
    folder = layout.latest_path(prefix, "").rstrip("/")
    if is_url(prefix):
        blobs = store.get_many([f"{folder}/{name}" for name in store.list(folder)])
        places = (read_pointer(blob.data) for blob in blobs if blob is not None)
        return frozenset(place for place in places if place is not None)
    found = set()
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):  # no link, or gone meanwhile
                found.add(os.path.normpath(os.path.join(folder, os.readlink(entry.path))))
    return frozenset(found)
