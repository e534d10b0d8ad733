"""What a step function is given for the steps and sources among its arguments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypedDict

import pydantic
import pytest

from marin_build import StepSpec, step
from marin_build.errors import SpecificationError, StoreError
from marin_build.pipeline.bound_call import type_hints
from marin_build.pipeline.source import Source
from marin_build.protocol.layout import ARTIFACT


@dataclass
class Score:
    loss: float


class Stats(pydantic.BaseModel):
    count: int


class Row(TypedDict):
    text: str


@step
def score(output: Path) -> Score:
    return Score(0.5)


@step
def folder(output: Path) -> None: ...


PATH = "/data/raw"
_NONE = object()
STEP: Any = StepSpec(name="raw", override_output_path="/data/raw")
TEXT: Any = Source("text", "/project/text.txt")
SCORE: Any = score()
FOLDER: Any = folder()


def _taking(annotation: Any) -> Any:
    """A step function whose parameter `x` has an annotation."""

    def take(output, x):  # type: ignore[no-untyped-def]
        return x

    take.__annotations__ = {"output": str} | ({} if annotation is _NONE else {"x": annotation})
    return step(take)


def _shown(value: Any) -> str:
    names = {
        id(STEP): "step",
        id(TEXT): "source",
        id(SCORE): "score",
        id(FOLDER): "folder",
        id(_NONE): "-",
    }
    return names.get(id(value), "with" if isinstance(value, list | tuple | dict) else str(value))


def _given(value: Any, annotation: Any) -> Any:
    return _taking(annotation)(value).fn("/out")


@pytest.mark.parametrize(
    ("value", "annotation", "given"),
    [
        (STEP, str, PATH),
        (STEP, Path, Path(PATH)),
        (STEP, PurePath, Path(PATH)),
        (STEP, os.PathLike, Path(PATH)),
        (STEP, os.PathLike[str], Path(PATH)),
        (STEP, Path | None, Path(PATH)),
        (TEXT, str, "/project/text.txt"),
        (TEXT, Path, Path("/project/text.txt")),
        ([STEP, TEXT], list[str], [PATH, "/project/text.txt"]),
        ([STEP], Sequence[Path], [Path(PATH)]),
        ((STEP, STEP), tuple[str, ...], (PATH, PATH)),
        ({"a": STEP}, dict[str, Path], {"a": Path(PATH)}),
        ({"a": STEP}, Mapping[str, str], {"a": PATH}),
        ({"a": [STEP]}, dict[str, list[Path]], {"a": [Path(PATH)]}),
        ([STEP], list[Path] | None, [Path(PATH)]),
    ],
    ids=_shown,
)
def test_a_step_arrives_as_the_path_that_its_annotation_asks_for(
    value: Any, annotation: Any, given: Any
) -> None:
    found = _given(value, annotation)
    assert (found, type(found)) == (given, type(given))


@pytest.mark.parametrize(
    ("value", "annotation", "given"),
    [
        ("a/b", Path, Path("a/b")),
        ("a/b", Path | None, Path("a/b")),
        (None, Path | None, None),
        ("a/b", str, "a/b"),
        ("a/b", _NONE, "a/b"),
        (["a", "b"], list[Path], [Path("a"), Path("b")]),
        (("a",), tuple[Path, ...], (Path("a"),)),
        ({"a": ["b"]}, dict[str, list[Path]], {"a": [Path("b")]}),
        (Path("a"), Path, Path("a")),
        (["a"], list[str], ["a"]),
    ],
)
def test_a_text_arrives_as_a_path_where_the_annotation_says_so(
    value: Any, annotation: Any, given: Any
) -> None:
    """Else the step fails inside, at its first `/`."""
    declared = _taking(annotation)(value)
    assert declared.fn is not None
    found = declared.fn("/out")
    assert (found, type(found)) == (given, type(given))
    assert declared.fingerprint == _taking(_NONE)(value).fingerprint


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ('{"loss": 0.5}', Score, Score(0.5)),
        ('{"count": 3}', Stats, Stats(count=3)),
        ('{"text": "a"}', Row, {"text": "a"}),
        ('{"a": [1]}', dict[str, list[int]], {"a": [1]}),
        ("[1, 2]", list[int], [1, 2]),
        ("0.5", float, 0.5),
        ('{"loss": 0.5}', Score | None, Score(0.5)),
    ],
    ids=_shown,
)
def test_a_step_arrives_as_its_artifact_where_the_annotation_is_a_type(
    tmp_path: Path, text: str, annotation: Any, value: object
) -> None:
    (tmp_path / ARTIFACT).write_text(text)
    built: Any = StepSpec(name="raw", override_output_path=str(tmp_path))
    assert _given(built, annotation) == value
    assert _given([built], list[annotation]) == [value]


def test_an_artifact_that_is_missing_or_of_another_type_is_an_error(tmp_path: Path) -> None:
    built: Any = StepSpec(name="raw", override_output_path=str(tmp_path))
    with pytest.raises(StoreError, match="no artifact"):
        _given(built, Score)
    (tmp_path / ARTIFACT).write_text('{"loss": "high"}')
    with pytest.raises(StoreError, match="is no Score"):
        _given(built, Score)


@pytest.mark.parametrize(
    ("value", "annotation", "says"),
    [
        (STEP, _NONE, "is given the step `raw`, but is annotated with nothing"),
        (STEP, bytes, "annotated `bytes`"),
        (STEP, int | str, "annotated"),
        (TEXT, Score, "is given a source, but is annotated `Score`"),
        (TEXT, int, "is given a source"),
        ([STEP], list, "with nothing"),
        ([STEP, 1], list[Path], "mixes steps with other values"),
        ({"a": STEP, "b": 1}, dict[str, Path], "mixes steps with other values"),
        (SCORE, Stats, "wants `Stats`, but `score` returns `Score`"),
        ([SCORE], list[Stats], "wants `Stats`"),
        (FOLDER, Score, "wants `Score`, but `folder` returns"),
    ],
    ids=_shown,
)
def test_what_would_fail_after_hours_is_refused_at_once(
    value: Any, annotation: Any, says: str
) -> None:
    with pytest.raises(SpecificationError) as caught:
        _taking(annotation)(value)
    assert says in caught.value.what
    assert "`x`" in caught.value.what


@pytest.mark.parametrize("kind", [str, Path])
def test_the_output_arrives_as_annotated(kind: type) -> None:
    def where(output):  # type: ignore[no-untyped-def]
        return output

    where.__annotations__ = {"output": kind}
    declared = step(where)()
    assert declared.fn is not None
    assert declared.fn("/out") == kind("/out")


def test_an_annotation_that_cannot_be_read_is_refused_with_the_way_out() -> None:
    def take(output: str, x: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(SpecificationError) as caught:
        step(take)(STEP)
    assert "outside `if TYPE_CHECKING:`" in (caught.value.hint or "")


def test_types_that_are_local_to_a_function_are_found() -> None:
    @dataclass
    class Local:
        x: int

    def takes(output: str, x: Local) -> Local:
        return Local(x.x)

    assert type_hints(takes)["x"] is Local


def test_the_arguments_of_a_call_name_their_leaves() -> None:
    declared = _taking(dict[str, list[Path]])({"a": [STEP, TEXT]})
    found = [(name, type(leaf)) for name, leaf in declared.fn.leaves()]
    assert found == [("x.a.0", StepSpec), ("x.a.1", Source)]
    assert declared.fn.bound() == {"x": {"a": [STEP, TEXT]}}


def test_a_url_does_not_arrive_as_a_path() -> None:
    """Else the output of a step lies in a local folder called `gs:`, and counts as built."""

    @step
    def make(output: Path) -> None:
        output.mkdir(parents=True)

    declared = make()
    assert declared.fn is not None
    with pytest.raises(
        SpecificationError, match="annotated as a Path, but `gs://bucket/x` is a URL"
    ):
        declared.fn("gs://bucket/x")
    reader = _taking(Path)(x=Source("text", "gs://bucket/text"))
    with pytest.raises(SpecificationError, match="is a URL"):
        reader.fn("/out")


class Sides(NamedTuple):
    left: Any
    right: Any


@pytest.mark.parametrize("around", [lambda it: it, lambda it: [it], lambda it: {"a": it}])
def test_steps_in_a_named_tuple_are_refused(around: Any) -> None:
    """Else the author reads that `__new__()` misses an argument, in a line that calls no class."""

    @step
    def pair(output: Path, sides: Any) -> None: ...

    sides = around(Sides(StepSpec(name="l"), StepSpec(name="r")))
    with pytest.raises(SpecificationError, match="is given steps in a Sides"):
        pair(sides=sides)
