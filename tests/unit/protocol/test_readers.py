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


@pytest.mark.parametrize("payload", [None, 1, "", "[]", "no JSON"])
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
