"""Opens the address in a browser, without showing it to other users of this machine."""

from __future__ import annotations

import html
import os
import shutil
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.operations.outputs.open_output import open_with, viewer_of, why_not_opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextmanager
def browser_opener(
    environ: Mapping[str, str], on_note: Callable[[str], None]
) -> Iterator[Callable[[str], None]]:
    """Give a function that opens an address in a browser; it returns at once.

    Every user sees the command lines of others. So the browser gets the path of a file that only
    this user can read, and that leads to the address; it is gone when the block ends.

    Args:
        environ: says which program opens pages.
        on_note: told why nothing was opened.

    """
    folders: list[str] = []

    def launch(path: str) -> None:
        viewer = viewer_of(environ)
        why = why_not_opened(path, viewer)
        if not why and viewer is not None:
            why = open_with(viewer, path)
        if why:
            on_note(f"no browser was opened: {why}")

    def open_address(address: str) -> None:
        folders.append(tempfile.mkdtemp(prefix="marin-build-ui-"))
        path = os.path.join(folders[-1], "open.html")
        with open(path, "w", encoding="utf-8") as stream:
            place = html.escape(address)
            stream.write(f'<meta http-equiv="refresh" content="0; url={place}">\n')
        threading.Thread(target=launch, args=(path,), daemon=True).start()

    try:
        yield open_address
    finally:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
