"""A result waits for its store as long as it is worth, and not when the run is to end."""

from __future__ import annotations

import pytest

from marin_build.run_step.commit_retry import LONGEST, CommitRetry


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("took", "waited"), [(0.0, 0.0), (0.25, 0.25), (100.0, 100.0), (1e6, LONGEST)]
)
def test_it_waits_as_long_as_the_body_took(took: float, waited: float) -> None:
    """Else a day of training is thrown away for an outage of minutes, or a second waits an hour."""
    clock = Clock()
    commit_retry = CommitRetry(took, lambda: "", clock, clock.sleep)
    tries = 1
    while commit_retry.wait():
        tries += 1
    assert clock.now == pytest.approx(waited)
    assert tries <= 10 + waited / 30


def test_it_does_not_wait_when_the_run_is_to_end() -> None:
    """Else Ctrl-C takes an hour."""
    clock = Clock()
    commit_retry = CommitRetry(100.0, lambda: clock.now > 5, clock, clock.sleep)
    while commit_retry.wait():
        assert clock.now <= 5
    assert clock.now < 6
