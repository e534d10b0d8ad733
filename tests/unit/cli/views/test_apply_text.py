"""What a run prints: what nobody may miss, and no wall of text."""

from __future__ import annotations

import pytest

from marin_build.apply.events import ApplyFinished, StepDrifted, StepEnded
from marin_build.cli.views.apply_text import QuietView, TextView
from marin_build.plan.outcomes import Failed


def _alone(failure: StepEnded) -> str:
    return failure.target


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_of_much_drift_the_first_lines_are_shown(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a thousand evaluations of one changed version hide what is built."""
    view = kind("marin-build apply", _alone)
    for i in range(1000):
        view(StepDrifted(f"s{i}", f"s{i}_1", "its identity changed\x1b[2J", ()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"  drift     s0_1  reused, though its identity changed\x1b[2J"
    assert lines[10:] == ["  drift     and more: marin-build plan shows them all"]


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_of_many_failures_the_first_are_told_in_full(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the one that explains the others has scrolled away."""
    view = kind("marin-build apply", _alone)
    for i in range(212):
        view(StepEnded(f"s{i}", f"s{i}_1", Failed(1, 1, "no", "", 1.0)))
    view(ApplyFinished("r-1", 0, 212, 0, 0, 0, 0, 0, 1.0))
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 11
    assert told[-1] == "error: s10, s11, s12, s13, s14 and 197 more failed, too"
    assert lines[-1] == "hint: marin-build status lists all; marin-build logs TARGET"
