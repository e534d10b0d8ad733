"""Committing what lies there: data that no step of ours made, or what an attempt had to leave.

It goes the way of every build: lease, attempt, seal, SUCCESS. At the place where the data lies
nothing is written, unless that is the target's own output path.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import NOTHING_WRITTEN, StoppedError
from marin_build.protocol.claim_outcomes import Finished, Held
from marin_build.protocol.documents import FileEntry, Publication
from marin_build.protocol.held_target import Holding
from marin_build.protocol.manifest import differences, manifest_of, shortened
from marin_build.run_step.kept_output import files_of, kept_before, listed
from marin_build.run_step.output_folder import protect
from marin_build.run_step.record import adopted_record
from marin_build.run_step.set_aside import forget_set_aside
from marin_build.run_step.supervisor import claimant_of
from marin_build.run_step.workers import Start
from marin_build.text.moments import moment_text, stamp

if TYPE_CHECKING:
    from marin_build.protocol.documents import Record
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
    assert isinstance(got, Holding)  # foreign data is what is committed here
    try:
        return _register(session, got, index, existing, note)
    finally:
        session.let_go(got)


def _register(
    session: Session, got: Holding, index: int, existing: Existing, note: str | None
) -> Record:
    """Commit data that lies there as the output of a target under our lease."""
    target = session.targets.all[index]
    if existing.place == target.output_path:
        _check_still_there(session, got, existing)
    now = session.now()
    record = adopted_record(session, index, got.lease.attempt, stamp(now), existing, note)
    manifest = tuple(FileEntry(path=path, size=size) for path, size in existing.files)
    got.commit(Publication(record=record, has_artifact=False, manifest=manifest), now)
    return record.model_copy(update={"attempt": got.lease.attempt})


@dataclass(frozen=True, slots=True)
class Returned:
    """What a person says that a step returned, as JSON values; None: nothing."""

    artifact: Any


def commit_kept(session: Session, index: int, returned: Returned | None) -> Record | None:
    """Commit what an earlier attempt finished.

    Args:
        session: the run.
        index: which target.
        returned: what the step returned; None: its attempt says it.

    Returns:
        The record; None if the target was built already.

    Raises:
        StoppedError: another run holds the target, the lease was lost, or its files are others.
        StoreError: the store cannot be written.

    """
    target = session.targets.all[index]
    got = claimant_of(session, Start(index, os.urandom(8).hex())).acquire()
    if isinstance(got, Finished):
        return None
    if isinstance(got, Held):
        raise held(target.id, got.lease)
    assert isinstance(got, Holding)  # foreign data is what is committed here
    try:
        return _commit_returned(session, got, index, returned)
    finally:
        session.let_go(got)


def _commit_returned(
    session: Session, got: Holding, index: int, returned: Returned | None
) -> Record:
    """Commit what an earlier attempt finished at a target under our lease."""
    target = session.targets.all[index]
    now, attempt = session.now(), got.lease.attempt
    kept = kept_before(session.store, got.output, attempt, target.fingerprint)
    if kept is None or not (kept.is_complete or returned):
        got.fail("interrupted", 1, "there was nothing to commit", now)
        raise StoppedError(f"`{target.id}` has nothing to commit any more", hint="apply builds it")
    publication = listed(session.store, got.output, kept)
    found = manifest_of(session.store, got.output)
    if differs := differences(files_of(publication), found):
        got.fail("failed", 1, "the kept output is not as it was", now, finished=kept.unfinished)
        raise StoppedError(
            f"the output of `{target.id}` is not as its step left it",
            facts=[("differs", "\n".join(shortened(differs)))],
            consequence="it was not committed",
            hint=f"`marin-build adopt {target.name}` takes it as it is now",
        )
    record = publication.record.model_copy(update={"attempt": attempt})
    update: dict[str, Any] = {"record": record}
    if returned is not None:
        has_artifact = returned.artifact is not None
        update |= {"artifact": returned.artifact, "has_artifact": has_artifact}
    got.commit(publication.model_copy(update=update), now)
    forget_set_aside(got.output)
    if session.protect:
        protect(got.output)
    return record


def held(target: str, lease: Lease) -> StoppedError:
    """Return the error for a target that another run holds now."""
    return StoppedError(
        f"`{target}` is held: another run builds or adopts it",
        facts=[
            ("holder", lease.describe()),
            ("renewed", f"{moment_text(lease.written_at)} by its own clock"),
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
    if holding.is_first:  # an attempt would say, to the next run, that a build left the data
        holding.withdraw()
    else:
        holding.fail("interrupted", 1, "the data changed while it was adopted", session.now())
    raise StoppedError(
        f"what lies at `{existing.place}` changed while it was adopted",
        facts=[("differs", "\n".join(shortened(differences(existing.files, found))))],
        consequence="it was not adopted",
        hint="wait until no program writes there, and adopt it again with --force",
    )
