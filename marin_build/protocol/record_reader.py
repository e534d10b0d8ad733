"""The reader of records, without models: a plan with nothing to do need not import pydantic.

`documents.Record` declares what a record holds. This reads what plans and reports ask of it, under
the same names, and forgives what older versions did not write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError
from marin_build.quick_dataclass import dataclass
from marin_build.untrusted_json import (
    number,
    parse_json,
    path,
    table,
    text,
    text_or_none,
    texts_or_none,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Built:
    """What the record of a built target says.

    Args:
        fingerprint, run, worker, end: what was built, in which run, by whom, and when.
        code_digest, code_document, captured: which code built it; None if it does not say.
        attempt: the number of the attempt.
        seconds: how long it took; 0 if that is not known.
        queued_seconds: seconds that its job waited in a queue before; None if that is not known.
        adopted_from: where the data lies that was registered as this output; None: it was built.
        files, size: number and bytes of its files; 0 if the record is older than that.
        deep_fingerprint: over the whole fingerprints of all it was made from; None: not said.
        deep_code_digest: over that code and the code that built all it needs; None if it does not
            say.
        environment: what it was built in, as the record has it; None if it does not say.
        payload: the hashed text, kept where it is of another identity than the declared one.
        target: the id under which it was built.
        note: why data was adopted; None if it does not say.

    """

    fingerprint: str
    run: str
    worker: str
    end: str
    code_digest: str | None = None
    code_document: str | None = None
    captured: Mapping[str, str] | None = None
    attempt: int = 0
    seconds: float = 0.0
    adopted_from: str | None = None
    files: int = 0
    size: int = 0
    deep_fingerprint: str | None = None
    deep_code_digest: str | None = None
    environment: Mapping[str, Any] | None = None
    payload: str | None = None
    target: str = ""
    note: str | None = None
    queued_seconds: float | None = None

    @property
    def hashed(self) -> Mapping[str, Any] | None:
        """What was hashed, as JSON values; None if it was not kept, or the record does not say."""
        try:
            return table(parse_json(self.payload or ""))
        except (ValueError, TypeError):
            return None


def parse_record(data: bytes, place: str, declared: str = "") -> Built | None:
    """Return what a record says; None for a record that Marin wrote.

    Args:
        data: its bytes.
        place: where it lies.
        declared: the fingerprint of the target; the payload is kept where another one was built.

    Raises:
        CorruptStateError: it is damaged, or of a newer marin-build.

    """
    try:
        document = table(parse_json(data))
        return built_of(document, declared) if is_ours(document) else None
    except (ValueError, KeyError):
        raise CorruptStateError(
            f"the record `{place}` is not readable",
            facts=[("perhaps", "it is damaged, or of a newer marin-build")],
            hint="delete it to use the output without its history, or the folder to build it again",
        ) from None


def readable_record(data: bytes | None, declared: str = "") -> Built | None:
    """Return the same as `parse_record`; None also where no record is, or a damaged one."""
    if data is None:
        return None
    try:
        return parse_record(data, "", declared)
    except CorruptStateError:
        return None


def adopted_from(data: bytes) -> str | None:
    """Return where data lies that was registered as an output; None if the output was built.

    This reads records that are damaged elsewhere, too: that data may be the only copy.

    Args:
        data: the bytes of a record, ours or Marin's.

    """
    try:
        document = table(parse_json(data))
        return _path_or_none(document.get("adopted_from")) if is_ours(document) else None
    except ValueError:
        return None


def built_of(record: Mapping[str, Any], declared: str = "") -> Built:
    """Return what a record of ours says, given as JSON values.

    Raises:
        ValueError, KeyError: it is damaged.

    """
    who, fingerprint = table(record["provenance"]), text(record["fingerprint"])
    environment = record.get("environment")
    return Built(
        fingerprint,
        text(record["run"]),
        f"{text(who['user'])}@{text(who['host'])}",
        text(record["end"]),
        text_or_none(record.get("code_digest")),
        _path_or_none(record.get("code_document")),
        texts_or_none(record.get("captured")),
        whole(record.get("attempt")),
        number(record.get("seconds")),
        _path_or_none(record.get("adopted_from")),
        whole(record.get("files")),
        whole(record.get("bytes")),
        deep_fingerprint=text_or_none(record.get("deep_fingerprint")),
        deep_code_digest=text_or_none(record.get("deep_code_digest")) or None,
        environment=None if environment is None else table(environment),
        payload=text_or_none(record.get("payload")) if fingerprint != declared else None,
        target=text_or_none(record.get("target")) or "",
        note=text_or_none(record.get("note")),
        queued_seconds=None if (waited := record.get("queued_seconds")) is None else number(waited),
    )


def _path_or_none(value: object) -> str | None:
    return None if value is None else path(value)


def is_ours(document: Mapping[str, Any]) -> bool:
    """Return whether marin-build wrote an `.executor_info`, and not Marin."""
    return str(document.get("executor_version", "")).startswith("marin_build/")
