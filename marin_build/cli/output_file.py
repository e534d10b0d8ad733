"""The file that `-o` names."""

from __future__ import annotations

import os

from marin_build.errors import StoreError
from marin_build.workspace.whole_files import write_whole


def write_output_file(path: str, text: str) -> None:
    """Write a text where `-o` says, in a folder that is made if it is not there.

    Raises:
        StoreError: it cannot be written; what was there is as it was.

    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise StoreError(f"cannot write `{path}`: {error.strerror}") from error
