"""An interrupt that meets a body before it meets the run."""

from __future__ import annotations

import pytest

from marin_build.run_step import workers
from marin_build.run_step.workers import hear_interrupt


class _Clock:
    """A clock that moves when it sleeps; an interrupt is heard at some time."""

    def __init__(self, heard_at: float) -> None:
        self.now, self._heard_at = 0.0, heard_at

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def is_heard(self) -> bool:
        return self.now >= self._heard_at


@pytest.mark.parametrize(
    ("code", "heard_at", "waited"),
    [
        (143, 0.1, 0.1),
        (130, 0.1, 0.1),
        (143, 0.0, 0.0),
        (143, 9.0, 0.5),
        (1, 9.0, 0.0),
        (0, 9.0, 0.0),
    ],
)
def test_a_body_that_a_signal_ended_waits_a_moment_for_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, code: int, heard_at: float, waited: float
) -> None:
    """Else a cancelled job counts as a failed step, now and then."""
    clock = _Clock(heard_at)
    monkeypatch.setattr(workers, "time", clock)
    hear_interrupt(code, clock.is_heard)
    assert clock.now == pytest.approx(waited, abs=0.03)
