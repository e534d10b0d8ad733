"""Points of a sweep: in a stable order, with names that are legal, readable and stay the same."""

from __future__ import annotations

import enum
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec, grid, step
from marin_build.errors import SpecificationError
from marin_build.pipeline.names import name_problem


class Loss(enum.Enum):
    HUBER = 1


@step(name="train")
def train(output: str, lr: float, seed: int, tag: str = "") -> None: ...


def test_every_combination_is_a_point() -> None:
    points = grid(lr=[3e-4, 1e-3], seed=range(2))
    assert [point.name for point in points] == [
        "lr0.0003-seed0", "lr0.0003-seed1", "lr0.001-seed0", "lr0.001-seed1",
    ]  # fmt: skip
    assert dict(points[1]) == {"lr": 3e-4, "seed": 1}
    assert (points[1].lr, points[1].seed, points[1]["seed"], len(points[1])) == (3e-4, 1, 1, 2)
    steps = [train.options(name=f"train/{point.name}")(**point) for point in points]
    assert [each.hash_attrs["seed"] for each in steps] == [0, 1, 0, 1]
    assert len({each.target_id for each in steps}) == 4


def test_more_values_rename_nothing() -> None:
    """Else another learning rate builds the whole sweep again."""
    few = {point.name: dict(point) for point in grid(lr=[0.1], seed=range(2))}
    many = {point.name: dict(point) for point in grid(lr=[0.01, 0.1, 1.0], seed=range(3))}
    assert few.items() <= many.items()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (1, "x1"), (-1, "x-1"), (0.1, "x0.1"), (1e-5, "x1e-05"), (1e20, "x1e+20"), (True, "x-true"),
        (None, "x-none"), ("adam", "x-adam"), ("meta/llama 3", "x-meta_llama_3"), ("ä", "x-_"),
        (Loss.HUBER, "x-huber"), (StepSpec(name="data/wiki"), "x-data_wiki"),
    ],
)  # fmt: skip
def test_values_have_readable_names(value: Any, name: str) -> None:
    if name == "x-_":
        with pytest.raises(SpecificationError, match="makes no name"):
            grid(x=[value])
        return
    (point,) = grid(x=[value])
    assert point.name == name
    assert name_problem(f"train/{name}") is None


def test_values_without_a_name_are_given_one() -> None:
    small, large = {"layers": 2}, {"layers": 24}
    points = grid(model={"small": small, "large": large})
    assert [(point.name, point.model) for point in points] == [
        ("model-small", small),
        ("model-large", large),
    ]


@pytest.mark.parametrize(
    ("axes", "says"),
    [
        ({}, "has no parameters"),
        ({"x": "adam"}, "are one str, not a list"),
        ({"x": 3}, "are one int, not a list"),
        ({"x": [{}]}, "a dict in `x` has no name"),
        ({"x": ["a b", "a/b"]}, "two values of `x` are called `x-a_b`"),
        ({"x": [1, 1]}, "two values of `x` are called `x1`"),
        ({"x": ["a", "a-y-b"], "y": ["c", "b-y-c"]}, "two points are called `x-a-y-b-y-c`"),
        ({"x": ["a" * 61]}, "makes no name"),
        ({"x": ["..."]}, "makes no name"),
        ({"name": [1]}, "`name` cannot be a parameter"),
        ({"items": [1]}, "`items` cannot be a parameter"),
        ({"_x": [1]}, "`_x` cannot be a parameter"),
        ({"ä": [1]}, "`ä` cannot be a parameter"),
    ],
)
def test_what_makes_no_grid_is_refused(axes: dict[str, Any], says: str) -> None:
    """Else two points share an output, or a step has an illegal name with no word of the grid."""
    with pytest.raises(SpecificationError, match=says) as caught:
        grid(**axes)
    assert Path(__file__).name in caught.value.render()


def test_a_point_is_a_value() -> None:
    (point,) = grid(lr=[1], seed=iter([2]))
    assert pickle.loads(pickle.dumps(point)) == point == {"lr": 1, "seed": 2}
    assert {**point, "seed": 3} == {"lr": 1, "seed": 3}
    assert repr(point) == "Point('lr1-seed2', {'lr': 1, 'seed': 2})"
    with pytest.raises(AttributeError, match="cannot be changed"):
        point.lr = 2
    with pytest.raises(AttributeError, match="the point has no `lrr`; it has lr, seed"):
        _ = point.lrr
    assert grid(lr=[], seed=[1]) == []


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.lists(_VALUES, max_size=3),
                       min_size=1, max_size=3))  # fmt: skip
def test_names_are_legal_and_tell_points_apart(axes: dict[str, list[Any]]) -> None:
    try:
        points = grid(**axes)
    except SpecificationError:
        return
    assert all(name_problem(point.name) is None for point in points)
    assert len({point.name for point in points}) == len(points)
