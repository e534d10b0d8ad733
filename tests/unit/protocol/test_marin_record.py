"""What Marin recorded is shown and compared, in each of its forms; what is damaged says nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from marin_build.protocol.marin_record import built_by_step_runner, parse_marin_record

MARIN = Path(__file__).parents[2] / "data" / "marin"
EXECUTOR = {
    "name": "train/m",
    "fn_name": "<function train>",
    "version": {"name": "train/m", "config": {"data": "DEP[0]", "model": {"width": 4}}},
    "dependencies": ["gs://b/x/raw-0a1b2c", "gs://b/x/given/path"],
    "output_path": "gs://b/x/train/m-abcdef",
}


def _bytes(**changes: object) -> bytes:
    return json.dumps({**EXECUTOR, **changes}).encode()


def _stub(**changes: object) -> bytes:
    """Return what Marin's StepRunner writes."""
    return _bytes(
        **{"executor_version": "step_runner", "config": {"model": {"width": 4}}, **changes}
    )


def _read(folder: str, name: str) -> bytes | None:
    path = MARIN / folder / name
    return path.read_bytes() if path.exists() else None


@pytest.mark.parametrize(
    ("folder", "writer", "name", "values"),
    [
        ("raw/dclm-1a2b3c", "Marin's Executor", "raw/dclm", {"revision": "a3b142c"}),
        ("tokenized/dclm_0f1e2d3c", "Marin's StepRunner", "tokenized/dclm",
         {"tokenizer": "meta-llama/Meta-Llama-3.1-8B"}),
        ("evals/tiny/2026.03.01", "Marin", "evals/tiny@2026.03.01", {"task": "mmlu", "shots": 5}),
    ],
)  # fmt: skip
def test_each_form_is_read(folder: str, writer: str, name: str, values: dict[str, object]) -> None:
    info, artifact = _read(folder, ".executor_info"), _read(folder, ".artifact.json")
    record = parse_marin_record(info, artifact)
    assert record is not None
    assert (record.writer, record.name, dict(record.values)) == (writer, name, values)


def test_the_newest_form_says_who_built_it() -> None:
    text = {"name": "a", "fingerprint": "f", "config": '{"x": {"y": 1}}',
            "provenance": {"built_by": "ada", "created_at": "2026-10-01"}}  # fmt: skip
    record = parse_marin_record(None, json.dumps(text).encode())
    assert record is not None
    assert record.by == "by ada at 2026-10-01"
    assert record.values == {"x.y": 1}


@pytest.mark.parametrize(
    ("info", "artifact"),
    [(None, None), (b"{", b"{"), (b"[]", b"3"), (b'{"executor_version": "marin_build/1"}', None),
     (None, b'{"num_tokens": 3}'), (b"[" * 5000, None)],
)  # fmt: skip
def test_what_says_nothing_of_marin_s_is_no_record(
    info: bytes | None, artifact: bytes | None
) -> None:
    assert parse_marin_record(info, artifact) is None


def test_a_record_is_compared_as_ours_are() -> None:
    built = built_by_step_runner(_stub(), {"gs://b/x/given/path": "tokens_01234567"})
    assert built is not None
    assert built.target == "train/m-abcdef"
    assert built.hashed == {
        "name": "train/m",
        "attrs": {"model": {"width": 4}},
        "deps": ["raw-0a1b2c", "tokens_01234567"],
    }


@pytest.mark.parametrize(
    "changes",
    [{"output_path": "gs://b/x/chosen"}, {"output_path": 3}, {"name": ""}, {"name": "other"},
     {"executor_version": "marin_build/1"}, {"executor_version": "0.1"}],
)  # fmt: skip
def test_an_output_at_a_chosen_path_is_compared_with_nothing(changes: dict[str, object]) -> None:
    assert built_by_step_runner(_stub(**changes), {}) is None


@pytest.mark.parametrize(
    "changes",
    [{"version": 3}, {"version": None}, {"version": {"config": [1]}}, {"config": 3},
     {"dependencies": 3}, {"dependencies": [1]}, {"fn_name": []}],
)  # fmt: skip
def test_fields_of_another_kind_are_left_out(changes: dict[str, object]) -> None:
    assert parse_marin_record(_bytes(**changes), None) is not None
    assert built_by_step_runner(_stub(**changes), {}) is not None
