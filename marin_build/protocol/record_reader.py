"""What a record says, read without models: whoever only asks need not import pydantic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError

if TYPE_CHECKING:
    from collections.abc import Mapping


def record_of_ours(data: bytes) -> Mapping[str, Any]:
    """Return a record of marin-build as JSON values; empty for anything else."""
    try:
        document = json.loads(data)
        ours = str(document.get("executor_version", "")).startswith("marin_build/")
    except (ValueError, AttributeError):
        return {}
    return document if ours else {}


def adopted_from(data: bytes) -> str | None:
    """Return where data lies that was registered as an output; None if the output was built.

    Args:
        data: the bytes of a record, ours or Marin's.

    """
    place = record_of_ours(data).get("adopted_from")
    return place if isinstance(place, str) else None


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


@dataclass(frozen=True, slots=True)
class Built:
    """What the record of a built target says.

    Args:
        fingerprint, run, worker, end: what was built, in which run, by whom, and when.
        code_digest, code_document, captured: which code built it; None if it does not say.
        attempt: the number of the attempt.
        seconds: how long it took; 0 if that is not known.
        adopted_from: where the data lies that was registered as this output; None: it was built.
        files, size: number and bytes of its files; 0 if the record is older than that.
        deep_fingerprint: over the whole fingerprints of all it was made from; None: not said.
        deep_code_digest: over that code and the code that built all it needs; None if it does not
            say.
        environment: what it was built in, as the record has it; None if it does not say.
        payload: what was hashed, as text, where that is another identity than is declared.

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
