"""What a record says of the output beside it, whichever program wrote it: ours, or any of Marin's.

For lists of outputs whose pipeline is not asked. A record that is damaged says nothing: the output
is listed all the same.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import CorruptStateError
from marin_build.protocol.artifact_record_reader import parse_artifact_record
from marin_build.protocol.executor_info_reader import parse_executor_info
from marin_build.protocol.marin_record import parse_marin_record
from marin_build.protocol.record_reader import built_of, is_ours
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import array, parse_json, table, text, text_or_none, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.protocol.record_reader import Built


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record.

    Args:
        name, target: the step's name and the target's id; empty if it does not say.
        built: what was built, when and by whom; None if it does not say.
        needs: what it was made from: ids of targets, or output paths.
        size, files: bytes and number of its files; None if it does not say.

    """

    name: str = ""
    target: str = ""
    built: Built | None = None
    needs: tuple[str, ...] = ()
    size: int | None = None
    files: int | None = None


def parse_stored_record(info: bytes | None, artifact: bytes | None = None) -> StoredRecord | None:
    """Return what a record says; None if there is none, or it is damaged.

    Args:
        info: the bytes of `.executor_info`, if there are any.
        artifact: those of `.artifact.json`; newer outputs of Marin have their record there.

    """
    try:
        document = table(parse_json(info)) if info is not None else {}
        if is_ours(document):
            return _ours(document)
    except (ValueError, KeyError):
        return None
    return _of_marin(info, artifact)


def _ours(record: Mapping[str, object]) -> StoredRecord:
    return StoredRecord(
        text_or_none(record.get("name")) or "",
        text_or_none(record.get("target")) or "",
        built_of(record),
        tuple(text(dep) for dep in array(record.get("deps") or [])),
        None if record.get("bytes") is None else whole(record["bytes"]),
        None if record.get("files") is None else whole(record["files"]),
    )


def _of_marin(info: bytes | None, artifact: bytes | None) -> StoredRecord | None:
    said = parse_marin_record(info, artifact)
    built = parse_executor_info(info) if info is not None else None
    if artifact is not None and built is None:
        with suppress(CorruptStateError):
            built = parse_artifact_record(artifact, "")
    if said is None and built is None:
        return None
    return StoredRecord(
        said.name.partition("@")[0] if said is not None else "",
        built.target if built is not None else "",
        built,
        said.needs if said is not None else (),
    )
