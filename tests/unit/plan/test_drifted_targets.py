"""The line about drift: true of each target, and short."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.plan.drift import Drift, ValueDrift
from marin_build.plan.drifted_targets import drift_text, drifted_targets
from marin_build.plan.identity_drift import IdentityDrift

if TYPE_CHECKING:
    from tests.unit.conftest import TargetsOf

CODE = Drift(is_unexplained=True)
AROUND = Drift(environment=(ValueDrift("python", "Python", "3.11.1", "3.11.2"),))
ABOVE = Drift(upstream=("x_1",))
BY = "by other code than today's"
BEFORE = "before other code rebuilt"
WITH = "with another identity than is declared"
IDENTITY = Drift(identity=IdentityDrift("under version v1", "1", "2"), is_unexplained=True)


@pytest.mark.parametrize(
    ("drift", "text"),
    [
        ({0: CODE}, "1 target was built by other code than today's: s0"),
        ({0: CODE, 2: CODE}, "2 targets were built by other code than today's: s0, s2"),
        ({0: AROUND}, "1 target was built in another environment than today's: s0"),
        ({0: ABOVE}, "1 target was built before other code rebuilt what it needs: s0"),
        ({0: ABOVE, 1: ABOVE}, f"2 targets were built {BEFORE} what they need: s0, s1"),
        ({0: IDENTITY}, "1 target was built with another identity than is declared: s0"),
        ({0: ABOVE, 1: CODE}, f"1 target was built {BY}: s1; 1 {BEFORE} what it needs: s0"),
        ({0: CODE, 1: IDENTITY, 2: CODE}, f"1 target was built {WITH}: s1; 2 {BY}: s0, s2"),
        (
            dict.fromkeys(range(8), CODE),
            f"8 targets were built {BY}: s0, s1, s2, s3, s4 and 3 more",
        ),
        ({}, ""),
    ],
)
def test_it_says_what_weighs_most_of_each(
    targets_of: TargetsOf, drift: dict[int, Drift], text: str
) -> None:
    targets = targets_of([()] * 8)
    assert drift_text(drifted_targets(targets, drift)) == text


def test_an_event_of_a_large_pipeline_stays_short(targets_of: TargetsOf) -> None:
    targets = targets_of([()] * 300)
    (group,) = drifted_targets(targets, dict.fromkeys(range(300), CODE))
    assert (group.kind, group.count, len(group.targets), len(group.names)) == (
        "code",
        300,
        100,
        100,
    )
