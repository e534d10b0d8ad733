"""What built outputs returned: read with their statuses and records, many in one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.observe.read_builds import StoredOutput
from marin_build.plan.metrics.returned_numbers import returned_numbers
from marin_build.protocol import layout
from marin_build.protocol.artifact import without_descriptor
from marin_build.protocol.record_reader import readable_record
from marin_build.protocol.status import readable_status
from marin_build.untrusted_json import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from marin_build.plan.metrics.returned_numbers import Number
    from marin_build.store.base import Blob, Store


_AT_ONCE = 1_000
"""Outputs whose files are in memory at a time."""
_FILES = (layout.STATUS, layout.RECORD, layout.ARTIFACT)


@dataclass(frozen=True, slots=True)
class MeasuredOutput:
    """An output, and the numbers that its step returned.

    Args:
        output: which one, and how its build ended.
        record: the bytes of its record; None if there is none.
        metrics: name -> number; empty if it is not built.
        damage: why what it returned cannot be read; empty if it can.

    """

    output: StoredOutput
    record: bytes | None
    metrics: Mapping[str, Number] = field(default_factory=dict)
    damage: str = ""


def read_metrics(store: Store, places: Sequence[tuple[str, str, str]]) -> list[MeasuredOutput]:
    """Read the numbers of some outputs; what is not built has none.

    Args:
        store: where they live.
        places: name, target id and output path of each.

    Raises:
        StoreError: the store cannot be read.

    """
    found: list[MeasuredOutput] = []
    for start in range(0, len(places), _AT_ONCE):
        found += _read(store, places[start : start + _AT_ONCE])
    return found


def _read(store: Store, places: Sequence[tuple[str, str, str]]) -> Iterator[MeasuredOutput]:
    blobs = iter(store.get_many([f"{path}/{file}" for *_, path in places for file in _FILES]))
    outputs: list[StoredOutput] = []
    infos: list[bytes | None] = []
    artifacts: dict[str, Blob | None] = {}
    for (name, target, path), status, record, artifact in zip(
        places, blobs, blobs, blobs, strict=True
    ):
        said = readable_status(status.data if status is not None else None, path)
        infos.append(record.data if record is not None else None)
        outputs.append(StoredOutput(name, target, path, said, readable_record(infos[-1])))
        artifacts[path] = artifact
    # The name that Marin's artifacts once had: where a record of ours lies, nothing was returned.
    marins = [
        each.path
        for each in outputs
        if each.is_built and each.built is None and artifacts[each.path] is None
    ]
    if marins:
        olds = store.get_many([f"{path}/{layout.OLD_ARTIFACT}" for path in marins])
        artifacts.update(zip(marins, olds, strict=True))
    for output, info in zip(outputs, infos, strict=True):
        if output.is_built:
            yield MeasuredOutput(output, info, *_numbers(artifacts[output.path]))
        else:
            yield MeasuredOutput(output, info)


def _numbers(artifact: Blob | None) -> tuple[Mapping[str, Number], str]:
    """Return the numbers in an artifact, and why it cannot be read."""
    data = without_descriptor(artifact.data) if artifact is not None else None
    if data is None:
        return {}, ""
    try:
        return returned_numbers(parse_json(data)), ""
    except ValueError as error:
        return {}, str(error)
