"""What authors write into configs: steps, places in outputs, versioned and mirrored values."""

from __future__ import annotations

import dataclasses

import pytest

from marin_build.compat.executor import (
    THIS_OUTPUT_PATH,
    ExecutorStep,
    InputName,
    OutputName,
    ensure_versioned,
    get_executor_step,
    mirrored,
    output_path_of,
    resolve_local_placeholders,
    this_output_path,
    unwrap_versioned_value,
    upstream_steps,
    versioned,
)


@dataclasses.dataclass(frozen=True)
class Config:
    a: object = None
    b: object = None


STEP: ExecutorStep[object] = ExecutorStep("tok", None, Config(versioned(1)))


def test_a_step_is_hashed_as_an_object_and_compared_by_its_values() -> None:
    """Marin's users keep steps as keys, and two steps of the same values apart."""
    other = ExecutorStep("tok", None, Config(versioned(1)))
    assert len({STEP: 1, other: 2}) == 2
    assert other == STEP
    assert hash(STEP) != hash(dataclasses.replace(STEP))


def test_a_generic_step_can_be_annotated_with_its_config() -> None:
    """`ExecutorStep[Config]` stands in the signatures of experiments."""
    assert ExecutorStep[Config]("a", None, Config()).config == Config()


def test_it_takes_the_arguments_of_both_generations() -> None:
    """Files of before March 2026 give groups, resources and variables to the step."""
    old: ExecutorStep[None] = ExecutorStep(
        name="a", fn=None, config=None, pip_dependency_groups=["tpu"], env_vars={"A": "1"}
    )
    assert (old.pip_dependency_groups, old.env_vars, old.resources) == (["tpu"], {"A": "1"}, None)


def test_it_knows_where_it_was_declared() -> None:
    """Reasons and errors name that line, not the call that runs it."""
    assert STEP.declared[0] == __file__
    assert STEP.with_output_path("x").declared[0] == __file__


def test_places_are_joined() -> None:
    """`step / "sub"` is how most experiments name their inputs."""
    assert STEP / "sub" == STEP.cd("sub") == output_path_of(STEP, "sub")
    assert STEP.cd("sub") / "deep" == InputName(STEP, "sub/deep")
    assert STEP.as_input_name().cd("x") == InputName(STEP, "x")
    assert not STEP.cd("x").nonblocking().block_on_step
    assert STEP.with_output_path("there").override_output_path == "there"
    assert this_output_path() == THIS_OUTPUT_PATH == OutputName(None)


def test_values_are_versioned_once() -> None:
    """A value that is versioned twice would be hashed as another one."""
    assert ensure_versioned(versioned(1)) == ensure_versioned(1) == versioned(1)
    for value in (versioned(1), STEP / "x"):
        with pytest.raises(ValueError, match="versioned"):
            versioned(value)
    with pytest.raises(ValueError, match="nest"):
        mirrored(mirrored("x"))


def test_the_step_of_a_place_is_found() -> None:
    """Libraries take a step or a place in its output."""
    assert get_executor_step(STEP) is get_executor_step(STEP / "x") is STEP
    for wrong in (InputName.hardcoded("x"), 3):
        with pytest.raises(ValueError, match=r"path|neither"):
            get_executor_step(wrong)  # type: ignore[arg-type]
    assert upstream_steps([STEP / "a", STEP, InputName.hardcoded("b")]) == [STEP]


def test_versioned_values_are_unwrapped_inside_of_containers() -> None:
    """Code that reads a config before it runs wants the plain values."""
    value = Config([versioned(1)], {"k": mirrored(versioned("p"))})
    assert unwrap_versioned_value(value) == Config([1], {"k": "p"})
    for place in (STEP, STEP / "x", this_output_path()):
        with pytest.raises(ValueError, match="not known yet"):
            unwrap_versioned_value(Config(place))


def test_local_placeholders_are_resolved_and_others_stay() -> None:
    """A job resolves what depends on its region itself."""
    found = resolve_local_placeholders(
        Config((this_output_path("m"), versioned(2)), {"s": STEP, "p": mirrored(versioned("x"))}),
        "/out",
    )
    assert found == Config(("/out/m", 2), {"s": STEP, "p": mirrored("x")})
