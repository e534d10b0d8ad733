"""Some rounds of the chaos that `make chaos` plays for as long as one likes.

A failure tells its seed: `make chaos SEED=7 TIMES=20` plays that round again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from .rounds import play
from .schedule import QUICK_FROM, Schedule

if TYPE_CHECKING:
    from .work import Step

# Short rounds, which begin with workers, threads and `run.sh`; the last is in a bucket.
SEEDS = (2931, 296, 596, 133)


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_killed_or_frozen_each_target_is_built_once_and_alone(seed: int) -> None:
    """Else a kill costs finished work, or an output holds what two executions wrote."""
    schedule = Schedule.of(seed)
    tally = play(schedule)
    assert tally.violations == [], f"{schedule}\nkept in {tally.kept}"


def test_quick_steps_are_built_once_and_alone_too() -> None:
    """Where the kernel's locks keep them: the first strikes of a round with dozens of them."""
    schedule = Schedule.of(QUICK_FROM + 1)
    schedule = replace(schedule, strikes=schedule.strikes[:12], steps=_some(schedule))
    tally = play(schedule)
    assert tally.violations == [], f"{schedule}\nkept in {tally.kept}"


def _some(schedule: Schedule) -> tuple[Step, ...]:
    """Return few steps of a round; the last one needs all others."""
    *steps, end = schedule.steps
    few = tuple(steps[:6])
    return (*few, replace(end, needs=tuple(step.name for step in few)))
