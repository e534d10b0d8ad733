"""The reader of attempts, without models; `documents.Attempt` declares what they hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError
from marin_build.pipeline.retries import CAUSES
from marin_build.protocol.record_reader import built_of
from marin_build.store.base import File
from marin_build.text.readable import LONGEST_MESSAGE, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.pipeline.retries import Cause
    from marin_build.protocol.record_reader import Built


@dataclass(frozen=True, slots=True)
class Committed:
    """What an attempt committed.

    Args:
        record: the record that it left, or was to leave, beside the output.
        manifest: the files of the output, sorted.
        has_artifact: whether the step returned a value.
        artifact: that value, as JSON values.
        digests: path -> sha-256 in hex, of the files that were digested.

    """

    record: Built
    manifest: tuple[File, ...]
    has_artifact: bool
    artifact: Any = None
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """How an attempt ended.

    Args:
        result: `succeeded`, `failed`, `interrupted` or `abandoned`.
        run, worker: in which run, and who made it.
        attempt: its number; 0 if the document does not say.
        end: when, as documents write moments; None if that is not known.
        exit_code, message: of its failure; None if there is none.
        cause: why it failed, `app`, `oom`, `timeout` or `infra`; None if it does not say.
        committed: what it committed; None if it did not succeed.
        is_finished: whether its body did all its work, and what it returned could not be saved.

    """

    result: str
    run: str
    worker: str
    attempt: int = 0
    end: str | None = None
    exit_code: int | None = None
    message: str | None = None
    committed: Committed | None = None
    cause: Cause | None = None
    is_finished: bool = False


def parse_attempt(data: bytes, path: str) -> EndedAttempt:
    """Return what the document of an attempt says.

    Raises:
        CorruptStateError: it is damaged.

    """
    try:
        document = json.loads(data)
        return EndedAttempt(
            document["result"],
            document["run"],
            document["worker"],
            document.get("attempt") or 0,
            document.get("end"),
            document.get("exit_code"),
            _bounded(document.get("message")),
            _committed(document.get("publish")),
            document["cause"] if document.get("cause") in CAUSES else None,
            document.get("finished") is not None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CorruptStateError(
            f"the attempt `{path}` is not readable",
            consequence="how it ended, and which files belong to the output, is not known",
            hint="copy it again from where it came from, or delete it",
        ) from None


def _bounded(message: Any) -> Any:
    return shortened(message, LONGEST_MESSAGE) if isinstance(message, str) else message


def _committed(publish: Any) -> Committed | None:
    if publish is None:
        return None
    files = [File(str(entry["path"]), int(entry["size"])) for entry in publish["manifest"]]
    record = built_of(publish["record"], publish["record"]["fingerprint"])
    return Committed(
        record,
        tuple(sorted(files)),
        bool(publish.get("has_artifact")),
        publish.get("artifact"),
        dict(publish.get("digests") or {}),
    )
