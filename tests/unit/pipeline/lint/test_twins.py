"""Steps that differ only in their names are found; those that differ in anything else are not."""

from __future__ import annotations

import functools
from pathlib import Path  # noqa: TC003 - steps read the annotations
from typing import Any

import pytest

from marin_build import ResourceConfig, StepSpec, command, step
from marin_build.pipeline.lint.twins import twins


@step
def train(output: Path, rate: float = 0.1, corpus: Path | None = None) -> float:
    return rate


@step
def other(output: Path, rate: float = 0.1) -> float:
    return rate


@step
def corpus(output: Path, n: int) -> int:
    return n


H100, A100 = (ResourceConfig.with_gpu(kind) for kind in ("H100", "A100"))


def groups(*steps: StepSpec) -> list[tuple[str, ...]]:
    return [each.steps for each in twins(steps)]


def test_a_forgotten_argument_of_a_sweep_is_found() -> None:
    """Else the same model is trained once for each name."""
    steps = [train.options(name=f"train/{rate}")() for rate in (0.1, 0.2, 0.3)]
    assert groups(*steps, other()) == [("train/0.1", "train/0.2", "train/0.3")]
    commands = [command("run > {output}/x", name=f"run/{rate}") for rate in (0.1, 0.2)]
    assert groups(*commands) == [("run/0.1", "run/0.2")]


def test_tags_and_texts_tell_no_steps_apart() -> None:
    one, two = (train.options(name=n, tags=(n,), description=n)() for n in ("a", "b"))
    assert groups(one, two) == [("a", "b")]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, {"env_vars": {"A": "1"}}),
        ({}, {"resources": ResourceConfig.with_cpu(cpu=2)}),
        ({"resources": H100}, {"resources": A100}),
        ({}, {"output_path_prefix": "gs://other/place"}),
        ({"version": "1"}, {"version": "1"}),
    ],
)
def test_what_is_built_otherwise_or_elsewhere_is_no_twin(one: Any, two: Any) -> None:
    assert groups(train.options(name="a", **one)(), train.options(name="b", **two)()) == []


def test_other_arguments_dependencies_and_code_are_no_twins() -> None:
    named = train.options(name="b")
    assert groups(train(), named(rate=0.2)) == []
    assert groups(train(corpus=corpus(n=1)), named(corpus=corpus(n=2))) == []
    assert groups(train(), other()) == []
    partials = [StepSpec(name=f"s{i}", fn=functools.partial(print, i)) for i in range(2)]
    assert groups(*partials) == []


def test_what_nothing_builds_is_no_twin() -> None:
    assert groups(StepSpec(name="a"), StepSpec(name="b")) == []


def test_a_step_that_is_declared_twice_is_one() -> None:
    assert groups(train(), train()) == []
