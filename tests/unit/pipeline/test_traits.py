"""What few steps have: of a step that has it, and is not found, too little is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec, command, source
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.pipeline.traits import traits_of
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.targets import Targets

WORKSPACE = Workspace("/project", "/project/outputs")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, set()),
        ({"hash_attrs": {"n": 1, "x": 0.5, "b": True, "none": None}}, set()),
        ({"hash_attrs": {"path": "corpus.txt"}}, {"with_texts"}),
        ({"hash_attrs": {"sizes": [1, 2]}}, {"with_texts"}),
        ({"description": "words"}, {"with_texts"}),
        ({"fn": command("echo x", name="c").fn}, {"with_texts"}),
        ({"inputs": {"corpus": source("corpus.txt")}}, {"with_texts", "with_inputs"}),
        ({"override_output_path": "/data/a"}, {"with_texts", "with_places", "with_free_paths"}),
        ({"output_path_prefix": "/data"}, {"with_places"}),
        ({"resources": ResourceConfig()}, {"with_needs"}),
        ({"budgets": {"api": 1}}, {"with_needs"}),
        ({"version": "dev"}, {"of_dev_versions", "with_free_paths"}),
        ({"version": "v1"}, {"with_free_paths"}),
        ({"temp": True}, {"temporary"}),
        ({"hash_attrs": {"fingerprint": 1, "version": 2}}, set()),
        ({"expected_fingerprint": "0" * 64}, {"with_pins"}),
    ],
)
def test_a_step_that_has_something_is_found(fields: dict[str, Any], expected: set[str]) -> None:
    steps = [StepSpec("plain", fn=print), StepSpec("asked", **{"fn": print, **fields})]
    traits = traits_of(steps)
    names = [name for name in traits.__slots__ if name != "keys"]
    assert {name for name in names if 1 in getattr(traits, name)} == expected
    assert not any(0 in getattr(traits, name) for name in names)


def test_keys_of_attributes_that_hold_no_texts_are_known() -> None:
    """Else a token that an author wrote as a key is not looked at."""
    steps = [StepSpec("a", fn=print, hash_attrs={"n": 1}), StepSpec("b", hash_attrs={"t": "x"})]
    assert traits_of(steps).keys == {"n"}


def test_targets_have_the_traits_of_their_own_steps_after_some_were_merged(
    make: Callable[..., Targets],
) -> None:
    """Else what is asked of one target is asked of another."""
    twins = [StepSpec("a", fn=print, hash_attrs={"n": 1}) for _ in range(2)]
    placed = StepSpec("b", fn=print, output_path_prefix="/data")
    assert make(*twins, placed).traits.with_places == {1}
    graph = build_graph([twins[0], placed])
    assert make_targets(graph, WORKSPACE).traits is graph.traits
