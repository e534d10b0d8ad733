"""What a step did to its output folder itself: it deleted it, or put something in its place."""

from __future__ import annotations

import os

from marin_build.errors import StoppedError
from marin_build.protocol import layout
from marin_build.store.folder_place import in_the_way, way_out
from marin_build.workspace.places import is_url


def what_replaced(output: str) -> tuple[str, str]:
    """Return what a step put in the place of its output, and the way out; empty texts: nothing.

    Our lease and status went with the folder. Nothing is written: it would be written to where a
    link points, which may be the user's own data, or another output.

    Raises:
        OSError: a link that lies in the place of the logs cannot be removed.

    """
    if is_url(output):
        return "", ""
    if (found := in_the_way(output)) is not None:
        hint = f"{way_out(output)}; let the step write, or link, inside its output folder"
        return f"it left {found} in the place of its output `{output}`", hint
    logs = f"{output}/{layout.LOGS}"
    if in_the_way(logs) is not None:
        os.unlink(logs)  # a link or a file that the step left in its own output
    return "", ""


def was_deleted(output: str, name: str) -> StoppedError:
    """Return the error for an output whose folder was deleted, by its step or by a person.

    Args:
        output: the output path.
        name: of the step.

    """
    return StoppedError(
        f"`{output}` was deleted while the step ran, and the lease with it",
        hint=(
            "the step gets an empty folder: let it delete what it wrote there, not the folder; "
            f"what lies there now is kept, and `--overwrite {name}` deletes it"
        ),
    )
