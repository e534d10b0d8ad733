"""Files of other outputs that a step reads: found before it runs, or refused in words."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.errors import StepFailedError
from marin_build.store.open_store import open_store
from marin_build.text.readable import did_you_mean, printable
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.pipeline.output_file import OutputFile
    from marin_build.store.base import Store


_SHOWN = 10


def check_is_there(file: OutputFile) -> None:
    """Refuse a file that a step did not leave in its output.

    Raises:
        StepFailedError: it is not there; the error names what is.
        StoreError: the store cannot be read.

    """
    output = file.step.output_path
    if not is_url(output) and os.path.exists(file.location):
        return
    store = open_store(output)
    if is_url(output) and _is_object(store, file.location):
        return
    found = [each.path for each in store.files(output) if not each.path.startswith(".")]
    shown = ", ".join(f"`{printable(each)}`" for each in found[:_SHOWN]) or "no files"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise StepFailedError(
        f"`{file.step.target_id}` has no `{printable(file.path)}`; it has {shown}{more}",
        facts=[("output", output)],
        hint=did_you_mean(file.path, found),
    )


def _is_object(store: Store, location: str) -> bool:
    """Return whether there is an object of this name, or one in a folder of it."""
    folder, _, name = location.rpartition("/")
    return name in store.list(folder) or bool(store.files(location))
