"""Registering existing data as the output of a target: a commit of data that no step of ours made.

It goes the way of every build: lease, attempt, seal, SUCCESS. At the place where the data lies
nothing is written, unless that is the target's own output path.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.errors import NOTHING_WRITTEN, StoppedError
from marin_build.moments import moment_text, stamp
from marin_build.protocol.acquire import Finished, Held
from marin_build.protocol.documents import FileEntry, Publication
from marin_build.protocol.manifest import differences, manifest_of, shortened
from marin_build.run_step.record import adopted_record
from marin_build.run_step.supervisor import claimant_of
from marin_build.run_step.workers import Start

if TYPE_CHECKING:
    from marin_build.protocol.documents import Record
    from marin_build.protocol.held_target import Holding
    from marin_build.protocol.lease import Lease
    from marin_build.protocol.manifest import Existing
    from marin_build.run_step.session import Session


def adopt(session: Session, index: int, existing: Existing, note: str | None) -> Record | None:
    """Commit existing data as the output of a target.

    Args:
        session: the run.
        index: which target; built already only if the session is forced to it.
        existing: the data, looked at just now.
        note: why, in the words of the person.

    Returns:
        The record; None if the target was already built or adopted.

    Raises:
        StoppedError: another run holds the target, the lease was lost, or the data is changing.
        StoreError: the store cannot be written.

    """
    target = session.targets.all[index]
    start = Start(index, os.urandom(8).hex(), force=index in session.forced)
    got = claimant_of(session, start).acquire()
    if isinstance(got, Finished):
        return None
    if isinstance(got, Held):
        raise held(target.id, got.lease)
    if existing.place == target.output_path:
        _check_still_there(session, got, existing)
    now = session.now()
    record = adopted_record(session, index, got.lease.attempt, stamp(now), existing, note)
    manifest = tuple(FileEntry(path=path, size=size) for path, size in existing.files)
    got.commit(Publication(record=record, has_artifact=False, manifest=manifest), now)
    return record.model_copy(update={"attempt": got.lease.attempt})


def held(target: str, lease: Lease) -> StoppedError:
    """Return the error for a target that another run holds now."""
    return StoppedError(
        f"`{target}` is held: another run builds or adopts it",
        facts=[
            ("holder", lease.describe()),
            ("renewed", f"{moment_text(lease.written_at)} UTC by its own clock"),
        ],
        consequence=NOTHING_WRITTEN,
        hint="wait for it; if its holder is dead, marin-build unlock",
    )


def _check_still_there(session: Session, holding: Holding, existing: Existing) -> None:
    """Look again under the lease: before it was ours, another run may have cleared the data.

    Raises:
        StoppedError: the files have changed.

    """
    found = manifest_of(session.store, holding.output)
    if found == list(existing.files):
        return
    holding.fail("interrupted", 1, "the data changed while it was adopted", session.now())
    raise StoppedError(
        f"what lies at `{existing.place}` changed while it was adopted",
        facts=[("differs", "\n".join(shortened(differences(existing.files, found))))],
        consequence="it was not adopted",
        hint="wait until no program writes there, and adopt it again with --force",
    )
