"""Records of Marin, read as ours are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marin_build import StepSpec
from marin_build.errors import CorruptStateError
from marin_build.protocol.artifact_record_reader import parse_artifact_record

DATA = Path(__file__).parents[2] / "data" / "marin_artifacts"
MODEL = DATA / "bucket" / "checkpoints" / "tiny" / "2026.10.02" / ".artifact.json"


def _step(recipe: dict[str, Any]) -> StepSpec:
    """Return a step with the recipe of the model."""
    tokens = StepSpec("tokenized/words", version="2026.09.02", fingerprint_payload="{}")
    return StepSpec(
        "checkpoints/tiny",
        version="2026.10.02",
        deps=[tokens],
        fingerprint_payload=json.dumps(recipe),
    )


def _recipe() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.loads(MODEL.read_text())["fingerprint_payload"])
    return found


def test_the_record_of_a_recipe_has_the_fingerprint_of_its_step() -> None:
    """Else a bucket that Marin filled is all drift."""
    step = _step(_recipe())
    built = parse_artifact_record(MODEL.read_bytes(), "x", step.fingerprint)
    assert built is not None
    assert (built.fingerprint, built.payload) == (step.fingerprint, None)
    assert (built.target, built.worker) == ("checkpoints/tiny@2026.10.02", "ada with Marin")
    assert built.end == "2026-11-30T08:46:56.715+00:00"


def test_another_recipe_is_kept_to_tell_what_changed() -> None:
    step = _step(_recipe() | {"chips": "other"})
    built = parse_artifact_record(MODEL.read_bytes(), "x", step.fingerprint)
    assert built is not None
    assert built.fingerprint != step.fingerprint
    assert built.hashed is not None
    assert built.hashed["attrs"]["chips"] == "<chips>"


@pytest.mark.parametrize(("recorded", "same"), [("5a1f4b14", True), ("deadbeef", False)])
def test_older_records_hold_the_fingerprint_alone(recorded: str, same: bool) -> None:
    data = json.dumps({"name": "a", "version": "dev", "fingerprint": recorded}).encode()
    built = parse_artifact_record(data, "x", "f" * 64, "5a1f4b14")
    assert built is not None
    assert (built.fingerprint == "f" * 64) is same
    assert (built.worker, built.end) == ("Marin", "")


@pytest.mark.parametrize("document", [{}, {"title": "bare"}, [], 3, {"fingerprint": ""}])
def test_what_fingerprints_nothing_is_no_record(document: Any) -> None:
    assert parse_artifact_record(json.dumps(document).encode(), "x") is None


@pytest.mark.parametrize(
    "fields",
    [
        {"fingerprint": 3},
        {"fingerprint_payload": "{"},
        {"fingerprint_payload": 3},
        {"fingerprint_payload": 9000 * "[" + 9000 * "]"},
        {"deps": [3], "fingerprint_payload": "{}"},
        {"name": 3},
        {"provenance": 3},
    ],
)
def test_a_damaged_record_is_told(fields: dict[str, Any]) -> None:
    data = json.dumps({"fingerprint": "5a1f4b14", **fields}).encode()
    with pytest.raises(CorruptStateError, match="`x` is not readable"):
        parse_artifact_record(data, "x")
    with pytest.raises(CorruptStateError):
        parse_artifact_record(b"{", "x")


@pytest.mark.parametrize("written", ["yesterday", 3, None])
def test_a_moment_that_is_none_is_left_out(written: object) -> None:
    document = {"fingerprint": "5a1f4b14", "provenance": {"created_at": written}}
    built = parse_artifact_record(json.dumps(document).encode(), "x")
    assert built is not None
    assert built.end == ""
