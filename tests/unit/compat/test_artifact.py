"""Artifact: what a step returned, loaded again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.compat.artifact import Artifact, ArtifactTypeMismatchError, result_type_name
from marin_build.compat.artifact_record import ArtifactRecord, write_record

if TYPE_CHECKING:
    from pathlib import Path


class Tokens(Artifact):
    count: int
    kind: str = "tokens"


class Other(Artifact):
    note: str = ""


def _recorded(folder: Path, **fields: Any) -> str:
    write_record(ArtifactRecord(output_path=str(folder), **fields))
    return str(folder)


def test_values_are_kept_and_what_was_read_meanwhile_is_not(tmp_path: Path) -> None:
    """Else a record holds a copy of another record."""
    tokens = Tokens(path=str(tmp_path), count=3)
    assert tokens.record is None
    assert tokens.result_payload() == {"count": 3, "kind": "tokens"}
    assert Artifact(path="x").result_payload() is None


def test_a_recorded_artifact_is_loaded_with_its_values(tmp_path: Path) -> None:
    name = result_type_name(Tokens)
    place = _recorded(tmp_path, result={"count": 3}, result_type=name, version="dev")
    loaded = Tokens.raw_load(place)
    assert (loaded.path, loaded.count) == (place, 3)
    assert loaded.record is not None
    assert loaded.record.version == "dev"


def test_another_class_is_not_loaded(tmp_path: Path) -> None:
    """Else a value is read as what it is not, because both have a field of one name."""
    place = _recorded(tmp_path, result={"count": 3}, result_type=result_type_name(Tokens))
    with pytest.raises(ArtifactTypeMismatchError, match="recorded as"):
        Other.raw_load(place)


@pytest.mark.parametrize("recorded", ["", "__main__.Tokens"])
def test_a_class_of_a_script_is_known_by_its_own_name(recorded: str, tmp_path: Path) -> None:
    """Else what `python experiment.py` built is lost for a plan of that file."""
    place = _recorded(tmp_path, result={"count": 3}, result_type=recorded)
    assert Tokens.raw_load(place).count == 3
    with pytest.raises(ArtifactTypeMismatchError):
        Tokens.raw_load(_recorded(tmp_path, result_type="__main__.NotTokens"))


def test_data_without_a_record_is_a_path(tmp_path: Path) -> None:
    assert Artifact.raw_load(str(tmp_path)).path == str(tmp_path)


def test_the_words_of_earlier_versions_of_marin_still_serve(tmp_path: Path) -> None:
    """Else experiments of last spring must be edited."""
    Artifact.save({"n": 1}, str(tmp_path))
    assert json.loads((tmp_path / ".artifact.json").read_text()) == {"n": 1}
    assert Artifact.load(str(tmp_path)) == {"n": 1}
    assert Artifact.load(str(tmp_path), dict[str, float]) == {"n": 1.0}
    place = _recorded(tmp_path, result={"count": 3}, name="tokens")
    assert Tokens.load(place).count == 3


def test_the_base_class_has_marins_name_in_records() -> None:
    """Else Marin refuses to load what was recorded here."""
    assert result_type_name(Artifact) == "marin.execution.artifact.Artifact"
    assert result_type_name(Tokens).endswith("test_artifact.Tokens")
