"""Data that is there already: what lies at a place, and what speaks against adopting it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError, StoppedError, UsageError
from marin_build.protocol import layout
from marin_build.protocol.artifact import read_artifact
from marin_build.protocol.lease import parse_lease
from marin_build.protocol.recorded import record_of_ours
from marin_build.protocol.status import STATUS_SUCCESS, parse_status
from marin_build.run_step.file_changes import compare
from marin_build.run_step.outputs import SHOWN_MISSING, manifest_of, missing_output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.protocol.lease import Lease
    from marin_build.protocol.status import Status
    from marin_build.store.base import File, Store

NOTHING_WRITTEN = "nothing was written"
ADOPTING = "a-"
"""How the id of a run begins that adopts: what it leaves unfinished is no unfinished output."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What lies at a place.

    Args:
        place: an absolute path or a URL.
        files: its data, without dot files.
        has_artifact: whether a value lies beside it that a step returned.
        status, lease: what somebody's executor left there.
        record: that of marin-build, as JSON values; empty if there is none.
        manifest: the files that the record's attempt committed; None if that is not known.

    """

    place: str
    files: tuple[File, ...]
    has_artifact: bool
    status: Status | None
    lease: Lease | None
    record: Mapping[str, Any]
    manifest: tuple[File, ...] | None

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def seconds(self) -> float:
        """How long it took to build, if its record says so; else 0."""
        seconds = self.record.get("seconds")
        return float(seconds) if isinstance(seconds, int | float) else 0.0


def read_existing(store: Store, place: str) -> Existing:
    """Read what lies at a place; nothing is written there.

    Raises:
        StoreError: the place cannot be read.
        CorruptStateError: a status or a lock file there is not readable.

    """
    paths = [f"{place}/{name}" for name in (layout.STATUS, layout.LEASE, layout.RECORD)]
    status, lease, record = store.get_many(paths)
    ours = record_of_ours(record.data) if record is not None else {}
    return Existing(
        place,
        tuple(manifest_of(store, place)),
        read_artifact(store, place) is not None,
        parse_status(status.data, paths[0]) if status is not None else None,
        parse_lease(lease.data, paths[1]) if lease is not None else None,
        ours,
        read_manifest(store, place, ours.get("attempt")),
    )


def read_manifest(store: Store, output: str, attempt: object) -> tuple[File, ...] | None:
    """Return the files that an attempt committed, sorted; None if there is no such attempt.

    Raises:
        CorruptStateError: its document is not readable.

    """
    if not isinstance(attempt, int) or attempt < 1:
        return None
    path = layout.attempt_path(output, attempt)
    blob = store.get(path)
    return manifest_in(blob.data, path) if blob is not None else None


def manifest_in(data: bytes, path: str) -> tuple[File, ...] | None:
    """Return the files in an attempt's document, sorted; None if it committed nothing.

    Raises:
        CorruptStateError: it is not readable.

    """
    from marin_build.store.base import File

    try:
        published = json.loads(data)["publish"]
        if published is None:
            return None
        return tuple(sorted(File(str(e["path"]), int(e["size"])) for e in published["manifest"]))
    except (ValueError, KeyError, TypeError):
        raise CorruptStateError(
            f"the attempt `{path}` is not readable",
            consequence="which files belong to the output is not known",
            hint="copy it again from where it came from, or delete it",
        ) from None


def differences(expected: Sequence[File], found: Sequence[File]) -> list[str]:
    """Return what differs between two lists of files, in words, a file each."""
    return compare(expected, found).words


def shortened(words: Sequence[str]) -> list[str]:
    """Return the first of many words, and how many more there are."""
    more = len(words) - SHOWN_MISSING
    return [*words[:SHOWN_MISSING], *([f"and {more} more"] if more > 0 else [])]


def refuse_unfit(existing: Existing, outputs: Sequence[str] | None, *, force: bool) -> None:
    """Refuse what cannot be taken for an output.

    Args:
        existing: what lies there.
        outputs: the files the step declares.
        force: take it although it looks unfinished or damaged.

    Raises:
        UsageError: nothing is there, or not what the step declares.
        StoppedError: it looks unfinished or damaged.

    """
    place, elsewhere = existing.place, existing.record.get("adopted_from")
    if not existing.files and isinstance(elsewhere, str) and elsewhere != place:
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
    if lease is not None and lease.run.startswith(ADOPTING):
        return  # somebody began to adopt it where it lies, and was killed
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
