"""An argument of another type than its parameter declares is refused where the step is declared."""

from __future__ import annotations

import datetime as dt
import enum
import subprocess
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

from marin_build import Secret, StepSpec, step
from marin_build.errors import MarinBuildError, SpecificationError, collected_errors
from marin_build.pipeline.argument_types import fits, shown_type

if TYPE_CHECKING:
    from collections.abc import Iterator

IMPORTS = """\
from __future__ import annotations
import datetime as dt
import enum
import typing
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict, Union

import pydantic

class Colour(enum.Enum):
    RED = "red"

class Level(enum.StrEnum):
    LOW = "low"

@dataclass
class Config:
    lr: float = 0.1

class Model(pydantic.BaseModel):
    lr: float = 0.1

class Row(TypedDict):
    a: int
    b: NotRequired[str]

UserId = NewType("UserId", int)
Sizes = list[int]
T = typing.TypeVar("T")
"""

RIGHT = [
    ("int", "1"), ("int", "True"), ("float", "1"), ("float", "1.5"), ("bool", "True"),
    ("str", "''"), ("str", "Level.LOW"), ("Any", "1"), ("object", "[1]"), ("bytes", "b''"),
    ("None", "None"), ("int | None", "None"), ("Optional[int]", "3"), ("Union[int, str]", "'a'"),
    ("Literal['a', 'b']", "'a'"), ("Literal[1, None]", "None"),
    ("Literal[Colour.RED]", "Colour.RED"),
    ("list[int]", "[1, 2]"), ("list[int]", "[]"), ("list", "[1, 'a']"), ("list[Any]", "[1, 'a']"),
    ("Sequence[int]", "(1, 2)"), ("Sequence[float]", "[1, 2.5]"), ("Sequence[str]", "'ab'"),
    ("Iterable[int]", "[1]"), ("tuple[int, ...]", "()"), ("tuple[int, ...]", "(1, 2, 3)"),
    ("tuple[int, str]", "(1, 'a')"), ("tuple[()]", "()"), ("set[int]", "{1}"), ("Set[int]", "{1}"),
    ("frozenset[int]", "frozenset({1})"), ("dict[str, int]", "{'a': 1}"), ("dict[str, Any]", "{}"),
    ("Mapping[str, float]", "{'a': 1}"), ("dict[str, list[int]]", "{'a': [1]}"),
    ("Path", "Path('a')"), ("Path | None", "None"), ("list[Path]", "[Path('a')]"),
    ("Colour", "Colour.RED"), ("Level", "Level.LOW"), ("Config", "Config()"), ("Model", "Model()"),
    ("Row", "{'a': 1}"), ("Row", "{'a': 1, 'b': 'x'}"), ("Annotated[int, 'of tokens']", "1"),
    ("UserId", "UserId(3)"), ("Sizes", "[1]"), ("dt.timedelta", "dt.timedelta(1)"),
    ("list[Config]", "[Config()]"), ("dict[str, Config | None]", "{'a': None}"),
    ("list[tuple[int, str]]", "[(1, 'a')]"), ("deque[int]", "deque([1])"),
    ("typing.List[int]", "[1]"), ("typing.Dict[str, int]", "{'a': 1}"),
]  # fmt: skip
WRONG = [
    ("int", "'1'"), ("int", "1.0"), ("int", "None"), ("float", "'0.1'"), ("bool", "1"),
    ("str", "1"), ("str", "None"), ("str", "Path('a')"), ("bytes", "''"), ("int | None", "'x'"),
    ("Optional[int]", "1.5"), ("Literal['a', 'b']", "'c'"), ("Literal[1]", "True"),
    ("list[int]", "['1']"), ("list[int]", "(1, 2)"), ("list[int]", "1"), ("list", "'ab'"),
    ("Sequence[int]", "'ab'"), ("tuple[int, ...]", "[1]"), ("tuple[int, str]", "(1, 2)"),
    ("tuple[int, str]", "(1,)"), ("tuple[()]", "(1,)"), ("set[int]", "[1]"),
    ("dict[str, int]", "{'a': 'b'}"), ("dict[str, int]", "{1: 1}"), ("dict[str, int]", "[1]"),
    ("Mapping[str, list[int]]", "{'a': [1, 'b']}"), ("Path", "3"), ("Colour", "'red'"),
    ("Level", "'low'"), ("Config", "{'lr': 1}"), ("Model", "Config()"), ("Row", "{'b': 'x'}"),
    ("Row", "{'a': '1'}"), ("Row", "{'a': 1, 'c': 2}"), ("Annotated[int, 'of tokens']", "'1'"),
    ("UserId", "'a'"), ("Sizes", "[1.5]"), ("dt.timedelta", "3"), ("list[Config]", "[Model()]"),
    ("typing.List[int]", "['1']"), ("None", "0"),
]  # fmt: skip


@pytest.fixture(scope="module")
def scope() -> Iterator[dict[str, Any]]:
    """The names of a module: annotations that are texts are looked up there."""
    module = types.ModuleType("argument_type_cases")
    sys.modules[module.__name__] = module
    exec(IMPORTS, vars(module))
    yield vars(module)
    del sys.modules[module.__name__]


def test_it_is_what_mypy_says(tmp_path: Path) -> None:
    """Else an author is told one thing by the checker, and another by the plan."""
    lines = [f"v{i}: {hint} = {value}" for i, (hint, value) in enumerate(RIGHT + WRONG)]
    (tmp_path / "cases.py").write_text(IMPORTS + "\n".join(lines) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "--config-file=", "cases.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {int(line.split(":")[1]) for line in done.stdout.splitlines() if ": error: " in line}
    first = len(IMPORTS.splitlines()) + 1 + len(RIGHT)
    assert found == set(range(first, first + len(WRONG))), done.stdout


@pytest.mark.parametrize(("hint", "value"), RIGHT)
def test_what_fits_is_taken(hint: str, value: str, scope: dict[str, Any]) -> None:
    assert fits(eval(value, scope), _hint(hint, scope))


@pytest.mark.parametrize(("hint", "value"), WRONG)
def test_what_does_not_fit_is_refused(hint: str, value: str, scope: dict[str, Any]) -> None:
    assert not fits(eval(value, scope), _hint(hint, scope))


def _hint(text: str, scope: dict[str, Any]) -> Any:
    holder = typing.cast("Any", type("Holder", (), {"__annotations__": {"x": text}}))
    return typing.get_type_hints(holder, globalns=scope)["x"]


@dataclass
class Config:
    layers: int = 2


@step
def train(
    output: Path,
    size: int,
    lr: float = 0.1,
    config: Config | None = None,
    names: list[str] | None = None,
    text: Path = Path("a"),
    token: Secret[str] | None = None,
    implicit: int = None,  # type: ignore[assignment]  # noqa: RUF013 - as people write it
) -> None: ...


def test_the_error_says_what_and_where() -> None:
    """Else a step of many hours fails at its end, because a number is a text."""
    with pytest.raises(SpecificationError) as caught:
        train(size="1")  # type: ignore[arg-type]
    line = sys._getframe().f_lineno - 1
    assert caught.value.render() == (
        "error: `train`: the parameter `size` is declared `int`, but is given a str\n"
        f"  declared: {Path(__file__)}:{line}\n"
        "  given:    size='1'\n"
        "  nothing was run\n"
        "hint: give it a value of that type, or correct the annotation of `size`"
    )


def test_all_mistakes_are_told_at_once() -> None:
    with collected_errors() as errors:
        train(size=1.5, lr="x", config=3, names=["a", 1], text=4)  # type: ignore[arg-type,list-item]
    assert [error.what.split("`")[3::2] for error in errors] == [
        ["size", "int"],
        ["lr", "float"],
        ["config", "Config | None"],
        ["names", "list[str] | None"],
        ["text", "Path"],
    ]


def test_a_secret_that_was_given_itself_is_not_shown() -> None:
    """Else the log of a CI run has it."""
    with collected_errors() as errors:
        train(size=1, token="hf_abcdefghijklmnopqrstuvwxyz")  # type: ignore[arg-type]
    assert errors
    assert "hf_abc" not in "".join(error.render() for error in errors)


def test_defaults_and_values_of_other_steps_pass() -> None:
    one = train(size=1, text="a.txt", names=["a"], config=Config(3))  # type: ignore[arg-type]
    two = train(size=1, config=one.hash_attrs["config"], names=one.hash_attrs["names"])
    assert two.hash_attrs["names"] == ["a"]


def test_numbers_of_numpy_pass() -> None:
    numpy = pytest.importorskip("numpy")
    assert fits(numpy.int64(3), int)
    assert fits(numpy.float32(3), float)
    assert not fits(numpy.float64(3), int)


def test_annotations_that_cannot_be_read_say_nothing() -> None:
    """Else a type that is imported for checkers only stops a pipeline that runs."""

    def unknown(output, x, y):  # type: ignore[no-untyped-def]
        pass

    unknown.__annotations__ = {"x": "Nowhere", "y": int}
    declared = step(unknown)
    assert isinstance(declared(x=1, y=2), StepSpec)
    with pytest.raises(MarinBuildError, match="`y` is declared `int`"):
        declared(x=1, y="2")


class _Checked(typing.Protocol):
    def check(self) -> None: ...


class _Odd(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise TypeError


class Odd(metaclass=_Odd):
    pass


@pytest.mark.parametrize(
    "hint", [_Checked, Odd, typing.TypeVar("T"), typing.Callable[[], int], "text", 3]
)
def test_what_is_no_plain_type_passes(hint: Any) -> None:
    assert fits(1, hint) or hint == typing.Callable[[], int]


def test_types_are_shown_as_authors_write_them() -> None:
    shown = [int, Path, list[Path], int | None, dict[str, Any], typing.Literal["a"], Config]
    assert [shown_type(each) for each in shown] == [
        "int", "Path", "list[Path]", "int | None", "dict[str, Any]", "Literal['a']", "Config",
    ]  # fmt: skip
    assert shown_type(pydantic.BaseModel) == "BaseModel"
    assert shown_type(enum.Enum | dt.date) == "Enum | date"
