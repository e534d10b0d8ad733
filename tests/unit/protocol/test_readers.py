"""Records and attempts read without models: a plan believes them, so what is damaged is told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from marin_build.errors import CorruptStateError
from marin_build.protocol.attempt_reader import Committed, EndedAttempt, parse_attempt
from marin_build.protocol.documents import Attempt, Record
from marin_build.protocol.record_reader import (
    Built,
    adopted_from,
    built_of,
    parse_record,
    readable_record,
)
from marin_build.store.base import File
from tests.unit.protocol.test_documents import ATTEMPT, RECORD

BUILT = Built(
    "f", "r-1", "ada@h", "e", code_digest="c", code_document="d", captured={"lr": "0.1"}, attempt=1,
    seconds=1.5, adopted_from="gs://old/train", files=2, size=30, deep_fingerprint="d",
    deep_code_digest="dc", environment=RECORD["environment"], payload="{}", target="train_1",
    note="built before",
    queued_seconds=7.5,
)  # fmt: skip
DAMAGED = [b"", b"[]", b'"x"', b'{"executor_version": "marin_build/1"}']
_OF_OTHER_NAME = {"worker": "provenance", "size": "bytes"}


def _changed(**values: Any) -> bytes:
    return json.dumps({**RECORD, **values}).encode()


def test_what_is_written_is_what_is_read() -> None:
    """Else a key that is renamed where records are written is silently missing in each plan."""
    record = Record.model_validate(RECORD)
    assert parse_record(record.to_bytes(), "/x") == BUILT
    names = {field.name for field in dataclasses.fields(Built)}
    declared = {_OF_OTHER_NAME.get(name, name) for name in names}
    assert declared <= set(Record.model_fields)
    ended = {field.name for field in dataclasses.fields(EndedAttempt)} - {
        "committed",
        "is_finished",
    }
    assert ended <= set(Attempt.model_fields)


def test_a_payload_is_kept_where_another_identity_was_built() -> None:
    record = Record.model_validate(RECORD).to_bytes()
    assert parse_record(record, "/x", declared="f") == dataclasses.replace(BUILT, payload=None)


def test_a_record_of_an_older_version_is_read() -> None:
    """Else an upgrade loses the history of all that is built."""
    needed = {"executor_version", "fingerprint", "run", "provenance", "end"}
    old = {key: value for key, value in RECORD.items() if key in needed}
    assert parse_record(json.dumps(old).encode(), "/x") == Built("f", "r-1", "ada@h", "e")


def test_a_record_that_marin_wrote_is_none_of_ours() -> None:
    for version in ("marin_core/2", "", 1):
        assert parse_record(_changed(executor_version=version), "/x") is None
    assert parse_record(b'{"name": "train"}', "/x") is None


@pytest.mark.parametrize(
    "data",
    [*DAMAGED, _changed(fingerprint=1), _changed(provenance={}), _changed(adopted_from=[1]),
     _changed(seconds="soon")],
)  # fmt: skip
def test_a_damaged_record_is_an_error_to_who_plans_and_nothing_to_who_reports(data: bytes) -> None:
    with pytest.raises(CorruptStateError, match="`/x` is not readable"):
        parse_record(data, "/x")
    assert readable_record(data) is None
    assert readable_record(None) is None


def test_that_data_was_adopted_is_known_from_a_record_damaged_elsewhere() -> None:
    """Else the only copy of it is cleared for a new build."""
    assert adopted_from(_changed(provenance=None, adopted_from="/data")) == "/data"
    assert adopted_from(_changed(adopted_from=None)) is None
    assert adopted_from(_changed(executor_version="marin")) is None
    assert [adopted_from(data) for data in DAMAGED] == [None] * len(DAMAGED)


@pytest.mark.parametrize("payload", [None, "", "[]", "no JSON", "[" * 100_000])
def test_what_was_hashed_is_not_known_where_the_payload_is_none(payload: object) -> None:
    assert built_of({**RECORD, "payload": payload}).hashed is None
    assert built_of({**RECORD, "payload": '{"name": "x"}'}).hashed == {"name": "x"}


def test_an_attempt_is_read_as_it_was_written() -> None:
    committed = Committed(dataclasses.replace(BUILT, payload=None), (File("a", 1),), False)
    committed = dataclasses.replace(committed, digests={"a": "0f"})
    expected = EndedAttempt("succeeded", "r-1", "ada@h", 1, "e", 0, None, committed)
    assert parse_attempt(Attempt.model_validate(ATTEMPT).to_bytes(), "/x") == expected


def test_an_attempt_that_committed_nothing_has_no_manifest() -> None:
    failed = Attempt.model_validate({**ATTEMPT, "result": "failed", "publish": None})
    assert parse_attempt(failed.to_bytes(), "/x").committed is None


@pytest.mark.parametrize(
    "changed",
    [{"publish": {}}, {"publish": {"manifest": [1]}}, {"publish": {"manifest": [], "record": {}}}],
)
def test_a_damaged_attempt_is_an_error(changed: dict[str, Any]) -> None:
    """Else files that nobody committed count as the output."""
    for data in (*DAMAGED, json.dumps({**ATTEMPT, **changed}).encode()):
        with pytest.raises(CorruptStateError, match="is not readable"):
            parse_attempt(data, "/x/.logs/attempt-0001.json")


_HOSTILE: list[Any] = [
    1, -1, 1e308, 10**400, True, "x", "", "a\0b", "\ud800", "../../etc/passwd", [], [[]], ["x"],
    {}, {"a": []}, {"a": 1}, "[" * 300,
]  # fmt: skip


def _texts_in(value: object) -> bool:
    """Return whether the fields of a value that was read have the types they are declared with."""
    match value:
        case Built():
            texts = (
                value.fingerprint,
                value.run,
                value.worker,
                value.end,
                value.target,
            )
            numbers = (value.attempt, value.files, value.size)
            return (
                all(isinstance(text, str) for text in texts)
                and all(isinstance(number, int) for number in numbers)
                and isinstance(value.seconds, float)
                and value.hashed in (None, {})
            )
        case EndedAttempt():
            return (
                all(isinstance(text, str) for text in (value.result, value.run, value.worker))
                and isinstance(value.message, str | None)
                and isinstance(value.exit_code, int | None)
                and (value.committed is None or _texts_in(value.committed.record))
            )
    return False


@pytest.mark.parametrize("key", RECORD)
@pytest.mark.parametrize("value", _HOSTILE, ids=lambda value: repr(value)[:20])
def test_a_record_with_any_value_anywhere_is_read_or_damaged(key: str, value: Any) -> None:
    """Else one number in the place of a text ends `plan` of a thousand targets with a traceback."""
    try:
        read = parse_record(_changed(**{key: value}), "/x")
    except CorruptStateError:
        return
    assert read is None or _texts_in(read)


@pytest.mark.parametrize("key", [*ATTEMPT, "publish.manifest", "publish.record", "publish.digests"])
@pytest.mark.parametrize("value", _HOSTILE, ids=lambda value: repr(value)[:20])
def test_an_attempt_with_any_value_anywhere_is_read_or_damaged(key: str, value: Any) -> None:
    """Else `logs`, `status` and `explain` end with a traceback, whatever target they are of."""
    publish, _, inner = key.partition(".")
    changed = {**ATTEMPT["publish"], inner: value} if inner else value
    try:
        read = parse_attempt(json.dumps({**ATTEMPT, publish: changed}).encode(), "/x")
    except CorruptStateError:
        return
    assert _texts_in(read)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../../x", "", "a\0b", "\ud800", 1, None]
)
def test_a_manifest_names_files_inside_its_output_only(path: object) -> None:
    """Else `verify` reads, and says something about, files elsewhere on the machine."""
    publish = {**ATTEMPT["publish"], "manifest": [{"path": path, "size": 1}]}
    with pytest.raises(CorruptStateError):
        parse_attempt(json.dumps({**ATTEMPT, "publish": publish}).encode(), "/x")
