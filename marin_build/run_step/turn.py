"""Steps of several processes that take the same kind of thing run one at a time on this machine.

`apply` counts what its steps take. What starts their scripts side by side, make or ninja, cannot.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.workspace.own_folder import NAME, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

IN_TURN = "MARIN_BUILD_IN_TURN"
"""An environment variable: if it is 1, `run-step` waits for its turn."""


@contextmanager
def turn(project: str, kinds: Sequence[str], on_wait: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process of this project has the turn of any kind; then have it.

    The kernel ends a turn together with the last process that has it: this one, or a child that it
    forked and that outlives it.

    Args:
        project: the project's folder.
        kinds: names of budgets or resources, sorted, so that no two processes wait for each other.
        on_wait: gets the kind, before this process waits for it.

    Raises:
        StoreError: the files that hold the turns cannot be made.

    """
    folder = os.path.join(project, NAME, "turns")
    with ExitStack() as held:
        for kind in kinds:
            path = os.path.join(folder, kind)
            try:
                make_folder(folder)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise StoreError(
                    "cannot wait for others that build in this project",
                    facts=[("file", path), ("reason", error.strerror or str(error))],
                    consequence="nothing was run",
                    hint="replay the plan with `marin-build apply DIR`, which needs no such file",
                ) from error
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait(kind)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
