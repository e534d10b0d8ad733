"""The sha-256 of a file in a store."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.store.base import Store


def digest_file(store: Store, path: str) -> str:
    """Return the sha-256 of a file in hex; empty if there is no file.

    Files of a disk are read in parts, objects of a bucket at once.

    Raises:
        StoreError: it cannot be read.

    """
    if not is_url(path):
        try:
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    return hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            pass  # the store reads it, or says why it cannot be read
    blob = store.get(path)
    return hashlib.sha256(blob.data).hexdigest() if blob is not None else ""
