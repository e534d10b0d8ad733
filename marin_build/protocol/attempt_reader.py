"""The reader of attempts, without models; `documents.Attempt` declares what they hold."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from marin_build.errors import CorruptStateError
from marin_build.pipeline.retries import CAUSES
from marin_build.protocol.record_reader import built_of
from marin_build.quick_dataclass import dataclass
from marin_build.store.base import File
from marin_build.text.readable import LONGEST_MESSAGE, shortened
from marin_build.untrusted_json import (
    array,
    parse_json,
    path_inside,
    table,
    text,
    text_or_none,
    texts,
    whole,
    whole_or_none,
)

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
        artifact: that value, as JSON values; the record of a step without an attempt has its digest
            only.
        digests: path -> sha-256 in hex, of the files that were digested.
        artifact_digest: `digest_of_value` of the artifact; empty if the value itself is there.

    """

    record: Built
    manifest: tuple[File, ...]
    has_artifact: bool
    artifact: Any = None
    digests: Mapping[str, str] = field(default_factory=dict)
    artifact_digest: str = ""


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
        document = table(parse_json(data))
        return EndedAttempt(
            text(document["result"]),
            text(document["run"]),
            text(document["worker"]),
            whole(document.get("attempt")),
            text_or_none(document.get("end")),
            whole_or_none(document.get("exit_code")),
            _bounded(text_or_none(document.get("message"))),
            _committed(document.get("publish")),
            _cause(document.get("cause")),
            document.get("finished") is not None,
        )
    except (ValueError, KeyError):
        raise CorruptStateError(
            f"the attempt `{path}` is not readable",
            consequence="how it ended, and which files belong to the output, is not known",
            hint="copy it again from where it came from, or delete it",
        ) from None


def recorded(record: bytes | None) -> Committed | None:
    """Return what a record says was committed with it; None if the document of its attempt says it.

    Args:
        record: its bytes; None if there is none. A damaged one says nothing.

    """
    try:
        document = table(parse_json(record or b""))
        return _committed({**document, "record": document}) if "manifest" in document else None
    except (ValueError, KeyError):
        return None


def recorded_end(record: bytes) -> EndedAttempt | None:
    """Return how an attempt ended that left no document, by the record; None if it left one."""
    committed = recorded(record)
    if committed is None:
        return None
    built = committed.record
    return EndedAttempt(
        "succeeded", built.run, built.worker, built.attempt, built.end, 0, committed=committed
    )


def _bounded(message: str | None) -> str | None:
    return None if message is None else shortened(message, LONGEST_MESSAGE)


def _cause(said: object) -> Cause | None:
    return next((cause for cause in CAUSES if cause == said), None)


def _committed(publish: Any) -> Committed | None:
    if publish is None:
        return None
    publish = table(publish)
    files = [_file(table(entry)) for entry in array(publish["manifest"])]
    record = table(publish["record"])
    return Committed(
        built_of(record, text(record["fingerprint"])),
        tuple(sorted(files)),
        bool(publish.get("has_artifact")),
        publish.get("artifact"),
        texts(publish.get("digests") or {}),
        text_or_none(publish.get("artifact_digest")) or "",
    )


def _file(entry: Mapping[str, Any]) -> File:
    return File(path_inside(entry["path"]), whole(entry["size"]))
