"""Data that is there already: what lies at a place, and what speaks against adopting it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from marin_build.errors import NOTHING_WRITTEN, StoppedError, UsageError
from marin_build.protocol import layout
from marin_build.protocol.artifact import read_artifact
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.manifest import (
    Existing,
    differences,
    manifest_of,
    missing_output,
    read_manifest,
    shortened,
)
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import STATUS_SUCCESS, parse_status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Store


def read_existing(store: Store, place: str) -> Existing:
    """Read what lies at a place; nothing is written there.

    Raises:
        StoreError: the place cannot be read.
        CorruptStateError: a status or a lock file there is not readable.

    """
    paths = [f"{place}/{name}" for name in (layout.STATUS, layout.LEASE, layout.RECORD)]
    status, lease, record = store.get_many(paths)
    built = readable_record(record.data if record is not None else None)
    return Existing(
        place,
        tuple(manifest_of(store, place)),
        read_artifact(store, place) is not None,
        parse_status(status.data, paths[0]) if status is not None else None,
        parse_lease(lease.data, paths[1]) if lease is not None else None,
        built,
        read_manifest(store, place, built.attempt if built is not None else 0),
    )


def refuse_unfit(existing: Existing, outputs: Sequence[str] | None, *, force: bool) -> None:
    """Refuse data that cannot be an output.

    Args:
        existing: what lies there.
        outputs: the files the step declares.
        force: take it although it looks unfinished or damaged.

    Raises:
        UsageError: nothing is there, or not what the step declares.
        StoppedError: it looks unfinished or damaged.

    """
    place = existing.place
    elsewhere = existing.record.adopted_from if existing.record is not None else None
    if not existing.files and elsewhere is not None and elsewhere != place:
        raise UsageError(
            f"what lies at `{place}` was adopted itself",
            facts=[("its data", elsewhere)],
            consequence=NOTHING_WRITTEN,
            hint=f"adopt it from there: --from {shlex.quote(elsewhere)}",
        )
    is_finished_without = existing.status == STATUS_SUCCESS and outputs == ()
    if not existing.files and not existing.has_artifact and not is_finished_without:
        raise UsageError(
            f"there is nothing to adopt at `{place}`",
            consequence=NOTHING_WRITTEN,
            hint="name the folder that holds the data with --from",
        )
    if (
        missing := missing_output(outputs, existing.files, existing.has_artifact or None)
    ) is not None:
        raise UsageError(
            f"what lies at `{place}` is no output of this step",
            facts=[("reason", missing)],
            consequence=NOTHING_WRITTEN,
        )
    if not force:
        _refuse_unfinished(existing)
        _refuse_damaged(existing)


def _refuse_unfinished(existing: Existing) -> None:
    lease = existing.lease if existing.lease is not None and not existing.lease.is_sealed else None
    if lease is not None and lease.is_adopting:
        return  # an `adopt` of it where it lies was killed
    if existing.status in (None, STATUS_SUCCESS) and lease is None:
        return
    facts = [("status", existing.status)] if existing.status is not None else []
    raise StoppedError(
        f"the output at `{existing.place}` is not finished",
        facts=[*facts, *([("held by", lease.describe())] if lease is not None else [])],
        consequence=NOTHING_WRITTEN,
        hint="if it is whole all the same, say --force",
    )


def _refuse_damaged(existing: Existing) -> None:
    if existing.manifest is None:
        return
    found = set(existing.files)
    if found.issuperset(existing.manifest):
        return
    paths = {file.path for file in existing.manifest}
    ours = [file for file in existing.files if file.path in paths]
    raise StoppedError(
        f"the output at `{existing.place}` is not what was built there",
        facts=[("differs", "\n".join(shortened(differences(existing.manifest, ours))))],
        consequence=NOTHING_WRITTEN,
        hint="if it is whole all the same, say --force",
    )
