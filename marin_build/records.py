"""What the records beside built targets say, and whether it is what the pipeline declares."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError, StoppedError
from marin_build.protocol import layout
from marin_build.reasons import Unreadable
from marin_build.snapshot import Built

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from marin_build.fingerprint import Target, Targets
    from marin_build.snapshot import Observed
    from marin_build.step_spec import StepSpec
    from marin_build.store.base import Store


def read_records(
    store: Store,
    targets: Targets,
    built: Sequence[int],
    seen: dict[int, Observed],
    rebuilt: AbstractSet[int],
) -> list[int]:
    """Read the records of built targets into what was seen of them.

    One that is not readable is that target's matter: it is noted, and the others are read.

    Args:
        store: where the outputs live.
        targets: the pipeline's targets.
        built: which targets.
        seen: what was seen of them; their records join it.
        rebuilt: targets that are built anew, whatever is there.

    Returns:
        The targets that hold another identity than is declared, or were made from one: drift.

    Raises:
        StoppedError: another target has the same path by its hash.

    """
    others: list[int] = []
    paths = [record_path(targets.all[i]) for i in built]
    # Ids pin what is above them, but for versions and output paths, which may hold anything.
    any_loose = built and any(t.step.version or t.step.override_output_path for t in targets.all)
    deep = targets.deep_fingerprints() if any_loose else ()
    for index, path, blob in zip(built, paths, store.get_many(paths), strict=True):
        if blob is None:  # built by Marin, or copied without its record
            continue
        target = targets.all[index]
        try:
            record = parse_record(blob.data, path, target.fingerprint)
        except CorruptStateError:
            seen[index] = replace(seen[index], damage=Unreadable("record", path))
            continue
        seen[index] = replace(seen[index], built=record)
        if record is None or index in rebuilt:
            continue
        if record.fingerprint != target.fingerprint:
            if not is_loose(target.step):
                raise _two_of_one_hash(target, record)
            others.append(index)
        elif deep and not _is_made_of(record, deep[index]):
            others.append(index)
    return others


def is_loose(step: StepSpec) -> bool:
    """Return whether its path does not follow from its identity: any may have been built there."""
    return bool(step.version or step.override_output_path)


def _is_made_of(record: Built, deep: str) -> bool:
    """Return whether a target was made from what is declared; adopted data was not made here."""
    return record.adopted_from is not None or record.deep_fingerprint in (None, deep)


def record_path(target: Target) -> str:
    """Return where the record of a target lies."""
    return f"{target.output_path}/{layout.RECORD}"


def _two_of_one_hash(target: Target, record: Built) -> StoppedError:
    return StoppedError(
        f"`{target.output_path}` holds another target",
        facts=[("recorded", record.fingerprint), ("declared", target.fingerprint)],
        consequence="nothing was run",
        hint="two identities share 8 digits of their fingerprint: rename the step",
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
    for index, path, blob in zip(indices, paths, store.get_many(paths), strict=True):
        if blob is not None:
            try:
                found[index] = parse_record(blob.data, path, targets.all[index].fingerprint)
            except CorruptStateError:
                found[index] = None
    return found


def parse_record(data: bytes, path: str, declared: str) -> Built | None:
    """Return what a record says; None for a record that Marin wrote.

    Args:
        data: its bytes.
        path: where it lies.
        declared: the fingerprint of the target; of another one the payload is kept, too.

    Raises:
        CorruptStateError: it is damaged, or of a newer marin-build.

    """
    try:
        document = json.loads(data)
        if not str(document.get("executor_version", "")).startswith("marin_build/"):
            return None
        who, fingerprint = document["provenance"], _text(document["fingerprint"])
        return Built(
            fingerprint,
            document["run"],
            f"{who['user']}@{who['host']}",
            document["end"],
            document.get("code_digest"),
            document.get("code_document"),
            document.get("captured"),
            int(document.get("attempt") or 0),
            float(document.get("seconds") or 0),
            document.get("adopted_from"),
            int(document.get("files") or 0),
            int(document.get("bytes") or 0),
            deep_fingerprint=document.get("deep_fingerprint"),
            deep_code_digest=document.get("deep_code_digest") or None,
            environment=document.get("environment"),
            payload=document.get("payload") if fingerprint != declared else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorruptStateError(
            f"the record `{path}` is not readable",
            facts=[("perhaps", "it is damaged, or of a newer marin-build")],
            hint="delete it to use the output without its history, or the folder to build it again",
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value
