"""What a step returned arrives at the steps that need it, as the type it was."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
import pytest

from marin_build.errors import StoreError
from marin_build.protocol.artifact import artifact_value, parse_artifact


@dataclass
class Score:
    loss: float
    parts: tuple[int, ...] = ()


class Stats(pydantic.BaseModel):
    folder: Path
    score: Score | None = None


def _round_trip(value: object, annotation: Any) -> object:
    return parse_artifact(json.dumps(artifact_value(value)).encode(), annotation, "a.json")


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (Score(0.5, (1, 2)), Score),
        (Stats(folder=Path("a"), score=Score(1.0)), Stats),
        ({"a": [1, None, "x"]}, dict[str, Any]),
        ([Score(1.0)], list[Score]),
        (3, int),
        (True, bool),
        (dt.timedelta(hours=1), dt.timedelta),
        (Score(float("inf")), Score),
    ],
)
def test_a_returned_value_is_loaded_as_it_was(value: object, annotation: Any) -> None:
    assert _round_trip(value, annotation) == value


def test_a_loss_that_became_nan_stays_one() -> None:
    found = _round_trip(Score(float("nan")), Score)
    assert isinstance(found, Score)
    assert found.loss != found.loss


@pytest.mark.parametrize("value", [object(), lambda: 0, {"a": object()}])
def test_what_cannot_be_saved_says_what_to_return_instead(value: object) -> None:
    with pytest.raises(TypeError, match="return a dataclass, a pydantic model or JSON values"):
        artifact_value(value)


def test_nothing_returned_is_no_artifact() -> None:
    assert artifact_value(None) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"loss": "high"}'])
def test_an_artifact_of_another_type_is_an_error_with_its_path(data: bytes) -> None:
    with pytest.raises(StoreError, match=r"the artifact `a\.json` is no Score"):
        parse_artifact(data, Score, "a.json")
