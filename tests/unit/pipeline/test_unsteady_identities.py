"""A step that is never reused is told before it has cost a second training."""

from __future__ import annotations

import pytest

from marin_build import StepSpec
from marin_build.pipeline.unsteady_identities import unsteady_identities


@pytest.mark.parametrize("value", [object(), unsteady_identities, print, "at 0x12", 3])
def test_an_address_in_an_identity_is_told(value: object) -> None:
    """Else each run of an experiment trains again, and nobody knows why."""
    step = StepSpec("train", hash_attrs={"loss": str(value)})
    found = unsteady_identities([step], "/project")
    is_address = " at 0x" in str(value)
    assert len(found) == is_address
    assert all("`train`" in text and "never reused" in text for text in found)


def test_a_step_is_told_once() -> None:
    step = StepSpec("a", hash_attrs={"x": str(object()), "y": str(object())})
    (text,) = unsteady_identities([step, step], "/project")
    assert "of `object object`" in text


def test_a_thousand_steps_do_not_flood_the_screen() -> None:
    steps = [StepSpec(f"s{i}", hash_attrs={"x": str(object())}) for i in range(1000)]
    assert unsteady_identities(steps, "/project")[5:] == [
        "995 more steps are known by an address in memory"
    ]
