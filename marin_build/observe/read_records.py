"""What the records beside built targets say, and whether it is what the pipeline declares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoppedError
from marin_build.observe.read_artifact_records import read_artifact_records
from marin_build.plan.block_reasons import Unreadable
from marin_build.protocol import layout
from marin_build.protocol.record_reader import Built, adopted_from, parse_record, readable_record
from marin_build.store.folder_place import in_the_way
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.pipeline.targets import Target, Targets
    from marin_build.plan.snapshot import Observed
    from marin_build.store.base import Store


def read_records(
    store: Store,
    targets: Targets,
    built: Sequence[int],
    seen: dict[int, Observed],
    rebuilt: AbstractSet[int],
) -> list[int]:
    """Read the records of built targets into `seen`.

    One that is not readable is noted at its target, and the others are read.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        built: which targets.
        seen: what was seen of them; their records join it.
        rebuilt: targets that are built anew, whatever is there.

    Returns:
        The targets that hold another identity than is declared, or were made from one: drift.

    Raises:
        StoppedError: the record at a path with a hash is another target's.

    """
    others: list[int] = []
    # Ids with a hash fix what dependents read; other builds can lie at versions and chosen paths.
    any_loose = built and targets.traits.with_free_paths
    deep = targets.deep_fingerprints() if any_loose else ()
    read_built_into(store, targets.all, built, seen)
    for index in built:
        target, record = targets.all[index], seen[index].built
        if record is None or index in rebuilt:
            continue
        if record.fingerprint != target.fingerprint:
            if (found := _link_at(target.output_path)) is not None:
                seen[index] = replace(seen[index], in_the_way=found)  # to another's output
                continue
            if not target.step.has_free_path:
                raise _two_of_one_hash(target, record)
            others.append(index)
        elif deep and not _is_made_of(record, deep[index]):
            others.append(index)
    return others


def read_built_into(
    store: Store, targets: Sequence[Target], built: Sequence[int], seen: dict[int, Observed]
) -> None:
    """Read the records of built targets into `seen`, without comparing identities.

    Raises:
        StoreError: they cannot be read.

    """

    def damaged(index: int, path: str) -> None:
        seen[index] = replace(seen[index], damage=Unreadable("record", path))

    paths = [record_path(targets[i]) for i in built]
    unrecorded: list[int] = []
    for index, path, blob in zip(built, paths, store.get_many(paths), strict=True):
        if blob is None:  # built by Marin, or copied without its record
            unrecorded.append(index)
            continue
        try:
            record = parse_record(blob.data, path, targets[index].fingerprint)
        except CorruptStateError:
            damaged(index, path)
            continue
        seen[index] = replace(seen[index], built=record)
        if record is None:
            unrecorded.append(index)
    for index, record in read_artifact_records(store, targets, unrecorded, damaged).items():
        seen[index] = replace(seen[index], built=record)


def read_places(
    store: Store, targets: Sequence[Target], built: Sequence[int]
) -> dict[int, str | None]:
    """Return where the data of built targets lies that were adopted from another place.

    None for a target whose data lies in its own output folder.

    Raises:
        StoreError: a record cannot be read.

    """
    places: dict[int, str | None] = {}
    blobs = store.get_many([record_path(targets[i]) for i in built])
    for index, blob in zip(built, blobs, strict=True):
        place = adopted_from(blob.data) if blob is not None else None
        places[index] = place if place != targets[index].output_path else None
    return places


def _link_at(output: str) -> str | None:
    return None if is_url(output) else in_the_way(output)


def _is_made_of(record: Built, deep: str) -> bool:
    """Return whether a target was made from the declared dependencies, or was adopted."""
    return record.adopted_from is not None or record.deep_fingerprint in (None, deep)


def record_path(target: Target) -> str:
    """Return where the record of a target lies."""
    return f"{target.output_path}/{layout.RECORD}"


def _two_of_one_hash(target: Target, record: Built) -> StoppedError:
    return StoppedError(
        f"`{target.output_path}` holds another target",
        facts=[("recorded", record.fingerprint), ("declared", target.fingerprint)],
        consequence="nothing was run",
        hint=f"two identities share the digits `{target.step.hash_id}`: rename the step",
    )


def read_built(store: Store, targets: Targets, indices: Sequence[int]) -> dict[int, Built | None]:
    """Return what the records of some targets say, read in one batch; for reports only.

    A target without a record is left out. None for a record that Marin wrote, that is not
    readable, or that is another target's: it says nothing, and no plan depends on it.

    Raises:
        StoreError: the store cannot be read.

    """
    found: dict[int, Built | None] = {}
    for index, built in read_any_built(store, targets, indices).items():
        is_its_own = built and built.fingerprint == targets.all[index].fingerprint
        found[index] = built if is_its_own else None
    return found


def read_any_built(
    store: Store, targets: Targets, indices: Sequence[int]
) -> dict[int, Built | None]:
    """Return the same as `read_built`, but with records of another identity."""
    paths = [record_path(targets.all[i]) for i in indices]
    found: dict[int, Built | None] = {}
    for index, blob in zip(indices, store.get_many(paths), strict=True):
        if blob is not None:
            found[index] = readable_record(blob.data, targets.all[index].fingerprint)
    unrecorded = [i for i in indices if found.get(i) is None]
    return found | read_artifact_records(store, targets.all, unrecorded)
