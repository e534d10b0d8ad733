"""The trash of a prefix on a local disk: what is deleted is moved there first, all at once."""

from __future__ import annotations

import os

from marin_build.errors import StoreError
from marin_build.protocol import layout
from marin_build.run_step.leftover_rights import clear_folder
from marin_build.store.folder_place import in_the_way, way_out
from marin_build.store.local_read import store_error


def new_trash(prefix: str, run: str) -> str:
    """Return a folder of the trash that is not there yet, for what a `gc` or a run deletes."""
    return f"{layout.trash_folder(prefix)}/{run}-{os.urandom(4).hex()}"


def refuse_linked_trash(prefix: str) -> None:
    """Refuse to move an output through a link, to where other data is deleted with it.

    Raises:
        StoreError: something else than a folder lies in the place of the trash.

    """
    folder = layout.trash_folder(prefix)
    if (found := in_the_way(folder)) is not None:
        what = f"{found} lies in the place of the folder `{folder}`"
        raise StoreError(what, hint=way_out(folder))


def move_data(output: str, trash: str) -> None:
    """Move the data of a local output into a folder of the trash, which is made.

    Raises:
        OSError: something cannot be moved.

    """
    os.makedirs(trash)
    with os.scandir(output) as entries:
        names = [entry.name for entry in entries if not layout.is_ours(entry.name)]
    for name in names:
        os.rename(os.path.join(output, name), os.path.join(trash, name))


def empty_trash(trash: str) -> None:
    """Delete a folder of the trash; another process may do the same.

    Raises:
        StoreError: something in it cannot be deleted.

    """
    try:
        clear_folder(trash, lambda _: False)
        os.rmdir(trash)
    except FileNotFoundError:
        return
    except OSError as error:
        raise store_error("delete", trash, error) from error
