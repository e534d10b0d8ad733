"""A value that was saved is loaded as it was, or not at all."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import Artifact, StepSpec, command, remote, step
from marin_build.errors import CorruptStateError, StoreError
from marin_build.pipeline.bound_call import return_annotation
from marin_build.runtime.artifact import load_returned
from marin_build.workspace.workspace import Workspace, current_workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal as Unknown


@dataclass
class Score:
    loss: float
    parts: tuple[int, ...] = ()


class Stats(pydantic.BaseModel):
    folder: Path
    score: Score | None = None


def _score(output_path: str) -> Score:
    return Score(0.5)


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


@pytest.mark.parametrize(
    ("value", "kind"),
    [(Score(0.5, (1, 2)), Score), (Stats(folder=Path("a"), score=Score(1.0)), Stats), (3, int)],
)
def test_a_value_is_loaded_as_the_type_that_is_given(
    tmp_path: Path, value: object, kind: Any
) -> None:
    Artifact.save(value, str(tmp_path))
    assert Artifact.load(str(tmp_path), kind) == value


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(_JSON.filter(lambda value: value is not None))
def test_json_values_need_no_type(value: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Artifact.save(value, folder)
        assert Artifact.load(folder) == value


def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Artifact.save({"a": 1}, "out")
    assert (tmp_path / "out/.artifact.json").exists()
    assert Artifact.load("out") == {"a": 1}


def test_a_step_says_the_type_by_its_function() -> None:
    declared = StepSpec(name="score", fn=_score)
    Artifact.save(Score(0.5), declared.output_path)
    assert Artifact.load(declared) == Score(0.5)
    assert Artifact.load(declared, dict) == {"loss": 0.5, "parts": []}


def test_a_step_that_says_no_type_gives_json_values() -> None:
    declared = StepSpec(name="score", fn=lambda _: Score(0.5))
    Artifact.save(Score(0.5), declared.output_path)
    assert Artifact.load(declared) == {"loss": 0.5, "parts": []}
    assert load_returned(declared.fn, declared.output_path) == {"loss": 0.5, "parts": []}


@dataclass
class Loose:
    """Annotated as programs that never checked their annotations are."""

    tokens: int = None  # type: ignore[assignment]
    where: Unknown = None  # type: ignore[assignment]


def test_a_dataclass_takes_the_values_as_they_are_where_its_annotations_are_wrong(
    tmp_path: Path,
) -> None:
    """Else a program that loads its values with Marin cannot load them here."""
    Artifact.save({"tokens": None, "where": "x"}, tmp_path)
    assert Artifact.load(tmp_path, Loose) == Loose(None, "x")  # type: ignore[arg-type]
    Artifact.save({"tokens": 1, "other": 2}, tmp_path)
    with pytest.raises(StoreError, match="is no Loose"):
        Artifact.load(tmp_path, Loose)


class Record(pydantic.BaseModel):
    name: str
    version: str


@pytest.mark.parametrize(
    "value", [Record(name="a", version="1"), {}, {"result": {"x": 1}}, {"config": None, "n": 1}]
)
def test_a_value_that_looks_like_a_record_is_a_value(tmp_path: Path, value: Any) -> None:
    """Else what a step returned is taken for a record of it, and is lost."""
    Artifact.save(value, tmp_path)
    document = json.loads((tmp_path / ".artifact.json").read_text())
    expected = value.model_dump() if isinstance(value, Record) else value
    assert document["result"] == expected
    assert document["output_path"] == str(tmp_path)
    assert Artifact.load(tmp_path) == expected
    assert Artifact.load(tmp_path, type(value)) == value


def test_what_is_missing_or_does_not_fit_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no artifact at `.*\.artifact\.json`"):
        Artifact.load(tmp_path, Score)
    Artifact.save([1], str(tmp_path))
    with pytest.raises(StoreError, match=r"\.artifact\.json` is no Score"):
        Artifact.load(str(tmp_path), Score)
    (tmp_path / ".artifact.json").write_text('{"a": ')
    with pytest.raises(CorruptStateError, match=r"\.artifact\.json` is not readable"):
        Artifact.load(str(tmp_path))


def test_nothing_returned_leaves_no_older_value(tmp_path: Path) -> None:
    Artifact.save(1, str(tmp_path))
    Artifact.save(None, str(tmp_path))
    assert not (tmp_path / ".artifact.json").exists()
    assert Artifact.load(str(tmp_path), type(None)) is None
    assert load_returned(_score, str(tmp_path)) is None


def test_a_value_that_only_looks_like_marins_descriptor_is_a_value(tmp_path: Path) -> None:
    value = {"result_type": "x", "result": 1}
    Artifact.save(value, str(tmp_path))
    assert Artifact.load(str(tmp_path)) == value
    (tmp_path / ".artifact.json").write_text('{"result_type": ')
    with pytest.raises(CorruptStateError):
        Artifact.load(str(tmp_path))


@step
def _declared(output: Path) -> Score:
    return Score(0.0)


def _nothing(output_path: str) -> None: ...


def _named_for_checkers(output_path: str) -> Unknown:
    raise NotImplementedError


class _Callable:
    def __call__(self, output_path: str) -> Score:
        return Score(0.0)


@pytest.mark.parametrize(
    ("fn", "kind"),
    [
        (_score, Score),
        (_nothing, type(None)),
        (lambda _: 1, None),
        (functools.partial(_score), Score),
        (remote(_score), Score),
        (_declared().fn, Score),
        (command("true", name="c").fn, type(None)),
        (_Callable(), Score),
        (_named_for_checkers, None),
        (None, None),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_where_the_type_is_found(fn: object, kind: Any) -> None:
    assert return_annotation(fn) is kind


def _adopt(step: StepSpec, place: Path) -> None:
    """Write the record of adopted data."""
    record = Path(step.output_path, ".executor_info")
    record.parent.mkdir(parents=True)
    document = {"executor_version": "marin_build/1", "adopted_from": str(place)}
    record.write_text(json.dumps(document))


def test_the_artifact_of_adopted_data_is_loaded_from_where_it_lies(tmp_path: Path) -> None:
    """Else a notebook finds nothing beside an output that the plan calls built."""
    scored = StepSpec(name="score", fn=_score)
    _adopt(scored, tmp_path / "old")
    Artifact.save(Score(0.5), str(tmp_path / "old"))
    assert Artifact.load(scored) == Score(0.5)


def test_adopted_data_without_an_artifact_is_told_from_a_step_that_returns_nothing(
    tmp_path: Path,
) -> None:
    scored = StepSpec(name="score", fn=_score)
    _adopt(scored, tmp_path / "old")
    with pytest.raises(StoreError, match="/old` has no artifact"):
        Artifact.load(scored)
    place = str(tmp_path / "older")
    here = replace(current_workspace(), adopted={scored.target_id: place})
    with in_workspace(here), pytest.raises(StoreError, match="/older` has no artifact") as caught:
        Artifact.load(scored)
    assert "annotate the parameter as Path" in (caught.value.hint or "")
