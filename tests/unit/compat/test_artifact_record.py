"""Records beside artifacts: Marin's are read, and ours have its form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel, ValidationError

from marin_build.compat.artifact_record import (
    ArtifactRecord,
    NotAModelError,
    StepRecordIdentity,
    payload_json,
    read_artifact,
    read_record,
    write_artifact,
    write_record,
    write_step_record,
)
from marin_build.errors import NoArtifactError
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = Path(__file__).parents[2] / "data" / "marin_artifacts" / "bucket"
RECORDS = sorted(BUCKET.rglob(".artifact.json"))
INFO = {
    "name": "tokenized/hq",
    "fn_name": "tokenize",
    "config": {"tokenizer": "llama3"},
    "version": {"config": {}},
    "dependencies": ["gs://b/raw"],
    "output_path": "gs://b/tokenized/hq-5af4cc",
}


class Doc(BaseModel):
    title: str
    tokens: int


@dataclass
class Plain:
    title: str


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path))):
        yield tmp_path / "step"


def _put(out: Path, name: str, value: Any) -> None:
    out.mkdir(exist_ok=True)
    (out / name).write_text(value if isinstance(value, str) else json.dumps(value))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.parent.parent.name)
def test_a_record_of_marin_is_read_and_written_byte_for_byte(path: Path, out: Path) -> None:
    """Else what one of the two built is lost for the other."""
    record = read_record(str(path.parent))
    assert record is not None
    written = record.model_copy(update={"output_path": str(out)})
    write_record(written)
    text = (out / ".artifact.json").read_text()
    assert text.replace(str(out), record.output_path) == path.read_text()


def test_a_value_comes_back_and_a_relative_path_is_below_the_prefix(out: Path) -> None:
    write_artifact(Doc(title="x", tokens=7), "step")
    assert json.loads((out / ".artifact.json").read_text())["result"] == {"title": "x", "tokens": 7}
    assert read_artifact("step", Doc) == read_artifact(out, Doc) == Doc(title="x", tokens=7)


def test_a_type_that_is_no_model_is_refused(out: Path) -> None:
    write_artifact({"title": "x"}, str(out))
    with pytest.raises(NotAModelError) as caught:
        read_artifact(str(out), dict)  # type: ignore[type-var]
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("document", [None, {"name": "x", "result": None}])
def test_an_output_without_a_value_has_none_to_read(
    document: dict[str, Any] | None, out: Path
) -> None:
    if document is not None:
        _put(out, ".artifact.json", document)
    with pytest.raises(NoArtifactError, match="no value") as caught:
        read_artifact(str(out), Doc)
    assert isinstance(caught.value, FileNotFoundError)


def test_older_values_without_a_record_are_read(out: Path) -> None:
    """Else caches of many terabytes are computed again for a change of format."""
    _put(out, ".artifact", {"title": "oldest", "tokens": 1})
    assert read_artifact(str(out), Doc).title == "oldest"
    _put(out, ".artifact.json", {"version": "v1", "title": "old", "tokens": 2})
    assert read_artifact(str(out), Doc).title == "old"
    record = read_record(str(out))
    assert record is not None
    assert (record.version, record.result) == ("", {"version": "v1", "title": "old", "tokens": 2})


def test_a_record_without_a_value_is_no_bare_value(out: Path) -> None:
    _put(out, ".artifact.json", {"name": "x", "version": "v1", "more": 1, "result": None})
    record = read_record(str(out))
    assert record is not None
    assert (record.name, record.result) == ("x", None)


def test_what_marins_executor_noted_is_read_where_nothing_newer_lies(out: Path) -> None:
    """Else a tokenized cache does not say which tokenizer made it."""
    _put(out, ".executor_info", INFO)
    record = read_record(str(out))
    assert record == ArtifactRecord(
        name="tokenized/hq",
        config={"tokenizer": "llama3"},
        output_path="gs://b/tokenized/hq-5af4cc",
        deps=["gs://b/raw"],
    )
    _put(out, ".artifact.json", {"name": "newer"})
    newer = read_record(str(out))
    assert newer is not None
    assert newer.name == "newer"


def test_a_value_of_a_plain_step_comes_with_what_made_it(out: Path) -> None:
    """Else a program asks the record of a step that was built here for its config, and gets none.

    Marin writes both into one file, marin-build the value beside its own record.
    """
    _put(out, ".artifact.json", {"tokens": 7})
    _put(
        out,
        ".executor_info",
        {
            "executor_version": "marin_build/1",
            "name": "count",
            "config": {"tokenizer": "llama3"},
            "deps": ["raw_5af4cc01"],
            "dependencies": ["gs://b/raw_5af4cc01"],
            "output_path": "gs://b/count_0b4d801d",
        },
    )
    assert read_record(str(out)) == ArtifactRecord(
        name="count",
        output_path="gs://b/count_0b4d801d",
        deps=["raw_5af4cc01"],
        dep_paths=["gs://b/raw_5af4cc01"],
        config={"tokenizer": "llama3"},
        result={"tokens": 7},
    )


@pytest.mark.parametrize("version", ["step_runner", "marin_build/1"])
def test_a_note_that_is_no_record_of_a_run_is_not_read_as_one(version: str, out: Path) -> None:
    """Else an output that was never finished counts as one without a tokenizer."""
    _put(out, ".executor_info", {**INFO, "executor_version": version})
    assert read_record(str(out)) is None
    assert read_record(str(out / "nothing")) is None


@pytest.mark.parametrize("name", [".artifact.json", ".executor_info"])
@pytest.mark.parametrize("text", ["{", "[]", "3", '{"name": 3}', '{"config": [1]}'])
def test_a_damaged_document_is_an_error(name: str, text: str, out: Path) -> None:
    _put(out, name, text)
    with pytest.raises((ValueError, ValidationError)):
        read_record(str(out))


def test_the_record_of_a_plain_step_says_what_made_it(out: Path) -> None:
    identity = StepRecordIdentity("eval", ["m_1a2b3c4d"], ["gs://b/m_1a2b3c4d"], {"k": 1})
    write_step_record(identity, output_path=str(out), result=Plain("x"))
    record = read_record(str(out))
    assert record is not None
    assert (record.name, record.deps, record.dep_paths) == (
        "eval",
        ["m_1a2b3c4d"],
        ["gs://b/m_1a2b3c4d"],
    )
    assert (record.config, record.result) == ({"k": 1}, {"title": "x"})
    assert record.provenance is not None
    write_step_record(identity, output_path=str(out), result=None)
    without = read_record(str(out))
    assert without is not None
    assert without.result is None


def test_models_and_dataclasses_become_values_of_json() -> None:
    assert payload_json(Doc(title="x", tokens=1)) == {"title": "x", "tokens": 1}
    assert payload_json(Plain("x")) == {"title": "x"}
    assert payload_json([1]) == [1]
