"""Work that is done and not committed: kept when the store does not take it, committed later."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.protocol.manifest import compare, manifest_of, missing_output
from marin_build.run_step.kept_output import files_of, listed
from marin_build.run_step.set_aside import SetAside, forget_set_aside, set_aside

if TYPE_CHECKING:
    from marin_build.protocol.documents import Publication
    from marin_build.protocol.held_target import Holding
    from marin_build.run_step.kept_output import Kept
    from marin_build.run_step.session import Session
    from marin_build.store.base import File


def commit_kept(session: Session, index: int, holding: Holding, kept: Kept) -> list[File] | None:
    """Commit what an earlier attempt finished.

    Args:
        session: the run.
        index: which target.
        holding: the target under our lease.
        kept: what was finished, complete.

    Returns:
        The files of the output; None if they are not as they were: then it is to be built again.

    Raises:
        StoppedError: the lease was lost.
        StoreError: the store still does not take it.

    """
    publication = listed(session.store, holding.output, kept)
    files = files_of(publication)
    outputs = session.targets.all[index].step.outputs
    is_whole = not missing_output(outputs, files, publication.artifact)
    if not is_whole or compare(files, manifest_of(session.store, holding.output)):
        forget_set_aside(holding.output)
        return None
    record = publication.record.model_copy(update={"attempt": holding.lease.attempt})
    holding.commit(publication.model_copy(update={"record": record}), session.now())
    return files


def keep_for_later(holding: Holding, publication: Publication, *, is_listed: bool) -> None:
    """Write down on this machine what is to be committed, if that can be done.

    Args:
        holding: the target under our lease.
        publication: what is to be committed.
        is_listed: whether its files are known.

    """
    aside = SetAside(
        output=holding.output,
        attempt=holding.lease.attempt,
        is_listed=is_listed,
        publication=publication,
    )
    with suppress(OSError):
        set_aside(aside)
