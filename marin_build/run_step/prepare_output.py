"""The output of a target before its body runs: what earlier attempts left is kept or cleared."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.protocol.foreign_data import has_data
from marin_build.protocol.lease import boot_clock
from marin_build.run_step.kept_output import kept_before
from marin_build.run_step.output_folder import (
    clear_leftovers,
    refuse_to_clear_adopted,
    set_read_only,
)
from marin_build.run_step.set_aside import forget_set_aside
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from marin_build.protocol.held_target import Holding
    from marin_build.run_step.kept_output import Kept
    from marin_build.run_step.session import Session


def kept_output(session: Session, index: int, holding: Holding) -> Kept | None:
    """Return what an earlier attempt finished and could not commit, if it is to be kept.

    A resumable step goes on with what it left, unless only the commit is missing.

    Args:
        session: the run.
        index: which target.
        holding: the target under our lease.

    Raises:
        StoreError: the store cannot be read.

    """
    step = session.targets.all[index].step
    if index in session.forced:
        forget_set_aside(holding.output)
        return None
    attempt = holding.lease.attempt
    kept = kept_before(session.store, holding.output, attempt, step.fingerprint)
    return None if kept is not None and step.resumable and not kept.is_complete else kept


def make_ready(session: Session, index: int, holding: Holding) -> bool:
    """Clear the output for the body, or give the rights back to one that goes on with what it left.

    Args:
        session: the run.
        index: which target.
        holding: the target under our lease.

    Returns:
        False if the lease was lost; if that was before anything was deleted, nothing is.

    Raises:
        StoppedError: a person adopted the data there.
        StoreError: the store cannot be read or written.

    """

    def is_held() -> bool:
        return _is_held(session, holding)

    is_clean = not _has_leftovers(session, index, holding)
    # Asked before and after: a process that slept must not clear what another run builds.
    if not is_held():
        return False
    return (
        is_clean or clear_leftovers(session.store, holding.output, is_held=is_held)
    ) and is_held()


def _has_leftovers(session: Session, index: int, holding: Holding) -> bool:
    """Return whether to clear what an earlier attempt, or another executor, left on our path.

    What no build left was refused when the target was acquired, or may be deleted.

    Raises:
        StoppedError: a person adopted the data there.

    """
    if holding.is_empty:
        return False
    output, step = holding.output, session.targets.all[index].step
    if not step.keeps_output:
        refuse_to_clear_adopted(session.store, output)
        return True
    again = holding.lease.attempt > 1 or index in session.forced
    if not again and not is_url(output) and not has_data(os.listdir(output)):
        return False
    # A step that keeps what lies there would write over adopted data.
    refuse_to_clear_adopted(session.store, output)
    if not is_url(output):
        # The step finds what it left, to go on with that.
        set_read_only(output, is_read_only=False)
        session.store.delete([f"{output}/{layout.CHANGED}"])
    return False


def _is_held(session: Session, holding: Holding) -> bool:
    """Return whether the lease will hold while the body starts; renew it if it is old."""
    now = boot_clock()
    longest = session.announce_after if holding.is_quick else session.register_after
    if now - holding.held_since < longest:
        return True
    return holding.renew(now, time.time())
