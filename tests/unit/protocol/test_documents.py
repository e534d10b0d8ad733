"""Records and attempts: read for years, so their keys are pinned here one by one."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from marin_build.protocol.documents import (
    Attempt,
    Environment,
    FileEntry,
    Provenance,
    Publication,
    Record,
)

PROVENANCE: dict[str, Any] = {
    "user": "ada", "host": "h", "argv": ("marin-build", "apply"), "python": "3.11",
    "marin_build": "0.1", "commit": None, "dirty": None,
}  # fmt: skip
ENVIRONMENT: dict[str, Any] = {
    "python": "3.12.4", "distributions": {"numpy": "2.0"}, "locks": {"uv.lock": "sha256:1"},
    "image": "registry/lm@sha256:1",
    "variables": {"LR": "sha256:4e07408562bedb8b"},
}  # fmt: skip
RECORD: dict[str, Any] = {
    "executor_version": "marin_build/1", "name": "train", "target": "train_1", "fn": "p.train",
    "command": None, "attributes": {"lr": 0.1}, "fingerprint": "f", "deep_fingerprint": "d",
    "payload": "{}", "code_digest": "c", "code_document": "d", "captured": {"lr": "0.1"},
    "deep_code_digest": "dc", "environment": ENVIRONMENT,
    "deps": ("raw_1",), "provenance": PROVENANCE, "run": "r-1", "attempt": 1,
    "start": "s", "end": "e", "seconds": 1.5, "exit_code": 0,
    "peak_memory_bytes": None, "cpu_seconds": 1.5, "queued_seconds": 7.5, "files": 2, "bytes": 30,
    "adopted_from": "gs://old/train", "keep": False,
    "note": "built before", "config": {"lr": 0.1}, "version": {"name": "train"},
    "dependencies": ("gs://b/raw_1",), "output_path": "gs://b/train_1",
    "fingerprint_payload": "{}",
}  # fmt: skip
PUBLICATION: dict[str, Any] = {
    "record": RECORD, "has_artifact": False, "artifact": None, "keeps_artifact": False,
    "manifest": ({"path": "a", "size": 1},), "digests": {"a": "0f"},
}  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "schema_version": 1, "target": "train_1", "attempt": 1, "run": "r-1", "worker": "ada@h",
    "engine": "slurm", "job": "slurm:7", "result": "succeeded", "start": "s", "end": "e",
    "exit_code": 0, "message": None, "cause": None, "peak_memory_bytes": 5, "cpu_seconds": 0.5,
    "publish": PUBLICATION,
    "finished": None,
}  # fmt: skip
MODELS: list[tuple[type[pydantic.BaseModel], dict[str, Any]]] = [
    (Provenance, PROVENANCE), (Record, RECORD), (Publication, PUBLICATION), (Attempt, ATTEMPT),
    (Environment, ENVIRONMENT), (FileEntry, {"path": "a", "size": 1}),
]  # fmt: skip
_IDS = [model.__name__ for model, _ in MODELS]


@pytest.mark.parametrize(("model", "values"), MODELS, ids=_IDS)
def test_a_document_has_these_keys_and_is_read_as_it_was_written(
    model: type[pydantic.BaseModel], values: dict[str, Any]
) -> None:
    document = model.model_validate(values)
    assert document.model_dump() == values
    assert model.model_validate_json(document.model_dump_json()) == document
    assert set(model.model_fields) == set(values)


def test_a_record_without_what_was_added_later_is_read() -> None:
    later = {"code_document", "captured", "deep_code_digest", "environment"}
    later |= {"files", "bytes", "adopted_from", "note", "fingerprint_payload"}
    record = Record.model_validate({k: v for k, v in RECORD.items() if k not in later})
    assert {getattr(record, name) for name in later} == {None}


@pytest.mark.parametrize(("model", "values"), MODELS, ids=_IDS)
def test_a_document_of_another_schema_is_refused(
    model: type[pydantic.BaseModel], values: dict[str, Any]
) -> None:
    wrong = [{**values, "unknown": 1}]
    wrong += [{k: v for k, v in values.items() if k != name}
              for name, field in model.model_fields.items() if field.is_required()]  # fmt: skip
    wrong += [{**values, key: 2} for key in ("schema_version", "executor_version") if key in values]
    for document in wrong:
        with pytest.raises(pydantic.ValidationError):
            model.model_validate(document)


@pytest.mark.parametrize(("model", "values"), MODELS, ids=_IDS)
def test_a_document_cannot_be_changed(
    model: type[pydantic.BaseModel], values: dict[str, Any]
) -> None:
    document = model.model_validate(values)
    with pytest.raises(pydantic.ValidationError):
        setattr(document, next(iter(values)), "other")
