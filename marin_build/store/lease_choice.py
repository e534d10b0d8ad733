"""Whether the kernel's locks are the leases of a run on a local disk, or documents alone.

Builders that cannot see the locks, or were told not to use them, leave a mark: `documents-only`
beside the file of the locks. While it is there, nobody relies on a lock alone. Who leaves it waits
until those that did not see it have ended their step, or have announced it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.store.kernel_locks import KernelLocks
from marin_build.store.lock_file import leases_path, mark_path
from marin_build.store.try_locks import why_not
from marin_build.workspace.own_folder import make_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.store.lease_by import LeaseBy


MARK_SEEN_AFTER = 2.0
"""Seconds after which no builder relies on a lock alone that it took before the mark was there."""
_YOUNG = 60.0
"""Seconds; a mark is older than it seems if the clock of its file system differs by that much."""
_FORCED = "the setting `lease_by` says so"


def choose_locks(
    prefix: str, lease_by: LeaseBy, wait: Callable[[float], object] = time.sleep
) -> KernelLocks | None:
    """Return the kernel's locks on the outputs below a prefix; None: only documents hold there.

    Args:
        prefix: an absolute folder, which exists and can be written.
        lease_by: what the configuration says.
        wait: sleeps for so many seconds.

    Raises:
        StoreError: the locks do not hold there, or other builders cannot see them, and the
            configuration insists on them.

    """
    if lease_by == "kernel":
        refuse_without_locks(prefix)
        return _opened(KernelLocks(prefix))
    if lease_by == "documents":
        _leave_mark(prefix, _FORCED, wait)
    why = why_not(prefix)
    if why:
        _leave_mark(prefix, why, wait)
    return None if why else _opened(KernelLocks(prefix, is_quick=lease_by == "auto"))


def _opened(locks: KernelLocks) -> KernelLocks:
    """Open the file now: the processes that start the steps share the locks with the run.

    So the locks hold until these have ended what they started.
    """
    locks.open()
    return locks


def refuse_without_locks(prefix: str) -> None:
    """Refuse to build where the kernel's locks do not hold for everybody.

    Raises:
        StoreError: they do not.

    """
    # The type of the file system does not matter: a person says that no other machine has it.
    why = why_not(prefix, lambda _: "ext4")
    if why:
        raise StoreError(
            f"no lease of the kernel holds at `{prefix}`",
            facts=[("reason", why)],
            consequence="nothing was run",
            hint='say `lease_by = "auto"` in the configuration',
        )
    if (said := read_mark(prefix)) is not None:
        raise StoreError(
            f"no lease of the kernel holds at `{prefix}`: others build there by documents",
            facts=[("they say", said)],
            consequence="nothing was run",
            hint=way_without_mark(prefix),
        )


def way_without_mark(prefix: str) -> str:
    """Return the hint on how to use the kernel's locks again where a mark is."""
    import shlex

    return f"if they build there no more, remove their mark: rm {shlex.quote(mark_path(prefix))}"


def read_mark(prefix: str) -> str | None:
    """Return what the mark says, on one line; None if there is none."""
    from marin_build.text.readable import printable

    try:
        with open(mark_path(prefix), "rb") as stream:
            data = stream.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read: {(error.strerror or str(error)).lower()}"
    return printable(" ".join(data.decode("utf-8", "replace").split())) or "nothing"


_LONGEST = 500


def _leave_mark(prefix: str, why: str, wait: Callable[[float], object]) -> None:
    """Say that documents are needed here, and wait until all builders know."""
    path = mark_path(prefix)
    try:
        make_folder(os.path.dirname(path))
        with suppress(FileExistsError), open(path, "x", encoding="utf-8") as stream:
            stream.write(f"{os.uname().nodename} builds here without locks of the kernel: {why}\n")
        found = os.stat(path)
    except OSError:
        return  # it may not write there: the others see its documents when they end
    if time.time() - found.st_mtime < _YOUNG and os.path.lexists(leases_path(prefix)):
        wait(MARK_SEEN_AFTER)
