"""Steps whose identity is a recipe, not their attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marin_build import StepSpec
from marin_build.errors import SpecificationError
from marin_build.pipeline.recipe import attributes_of_recipe
from marin_build.pipeline.secrets_in_steps import secrets_of_step

RECIPE = {"model": {"lr": 0.1}}


def _step(name: str = "m", recipe: Any = RECIPE, **fields: Any) -> StepSpec:
    return StepSpec(name, version="v1", fingerprint_payload=json.dumps(recipe), **fields)


def test_the_recipe_is_the_identity_and_attributes_are_not() -> None:
    """Else a plan says that `fingerprint` changed, and not what the author changed."""
    step = _step(hash_attrs={"fingerprint": "5a1f4b14"}, deps=[_step("raw")])
    assert json.loads(step.payload) == {"name": "m", "attrs": RECIPE, "deps": ["raw@v1"]}
    other = _step(hash_attrs={"fingerprint": "deadbeef"}, deps=[_step("raw", {"n": 1})])
    assert other.fingerprint == step.fingerprint
    assert _step(recipe={"model": {"lr": 0.2}}).fingerprint != _step().fingerprint


def test_plain_dependents_know_it_by_its_attributes() -> None:
    """Else what Marin built from an artifact lies elsewhere."""
    named = [
        StepSpec("eval", deps=[_step(hash_attrs={"fingerprint": digits})]) for digits in ("a", "b")
    ]
    assert named[0].fingerprint != named[1].fingerprint
    assert named[0].dep_names == [named[0].deps[0].name_with_hash]
    assert named[0].deps[0].target_id == "m@v1"


def test_a_recipe_and_an_output_path_go_together() -> None:
    step = _step(override_output_path="m/v1")
    assert (step.output_path, step.keeps_output) == ("/project/outputs/m/v1", True)
    with pytest.raises(SpecificationError, match="cannot both be given"):
        StepSpec("m", version="v1", override_output_path="m/v1")


@pytest.mark.parametrize("recipe", ["{", "", "[" * 2000, "[" * 400 + "]" * 400])
def test_a_recipe_is_json(recipe: str) -> None:
    with pytest.raises(SpecificationError, match="with a version, `fingerprint_payload` is JSON"):
        StepSpec("m", version="v1", fingerprint_payload=recipe)
    StepSpec("m", fingerprint_payload=recipe)  # without one it is only recorded


@pytest.mark.parametrize(
    ("recipe", "attributes"),
    [
        ("[1]", {"config": [1]}),
        ("null", {"config": None}),
        ('{"a": NaN, "b": [-Infinity]}', {"a": "NaN", "b": ["-Infinity"]}),
    ],
)
def test_every_recipe_is_a_tree_of_plain_json(recipe: str, attributes: dict[str, Any]) -> None:
    assert attributes_of_recipe(recipe) == attributes


def test_a_secret_in_a_recipe_is_found() -> None:
    """Else it stands in a record that everybody reads."""
    (error,) = secrets_of_step(_step(recipe={"note": "ghp_" + "a1B2" * 9}))
    assert "m.config.note" in error.what


@pytest.mark.parametrize("expected", [None, "5a1f4b14"])
def test_a_recipe_is_pinned_by_its_attributes(expected: str | None) -> None:
    attrs = {} if expected is None else {"expected_fingerprint": expected}
    assert _step(hash_attrs=attrs).is_pinned is (expected is not None)
    assert not StepSpec("m", hash_attrs=attrs).is_pinned
