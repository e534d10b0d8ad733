"""What a run prints: what nobody may miss, and no wall of text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from marin_build.apply.events import ApplyFinished, StepDrifted, StepEnded
from marin_build.cli.next_commands import NextCommands
from marin_build.cli.views.apply_text import QuietView, TextView
from marin_build.plan.drifted_targets import DriftedTargets
from marin_build.plan.outcomes import Failed

FINISHED = ApplyFinished("r-1", 1, 0, 1001, 0, 0, 0, 0, 1.0)


def _alone(failure: StepEnded) -> str:
    return failure.target


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_a_run_ends_with_one_line_about_all_that_drifted(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else results of old and of new code go into one report, and nothing says so."""
    view = kind(NextCommands("marin-build apply", _alone, plan="marin-build plan -f p.py"))
    names = tuple(f"s{i}" for i in range(100))
    drifted = (
        DriftedTargets("code", 1000, names, ("s0\x1b[2J", *names[1:])),
        DriftedTargets("environment", 1, ("e_1",), ("e",)),
    )
    view(replace(FINISHED, drifted=drifted))
    out = capsys.readouterr().out
    (line,) = [line for line in out.splitlines() if "built by" in line]
    assert line == (
        "1000 targets were built by other code than today's: "
        r"s0\x1b[2J, s1, s2, s3, s4 and 995 more; "
        "1 in another environment than today's: e; see marin-build plan -f p.py"
    )


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_of_many_changed_identities_the_first_lines_are_shown(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else a thousand evaluations of one changed version hide what is built."""
    view = kind(NextCommands("marin-build apply", _alone))
    for i in range(1000):
        view(StepDrifted(f"s{i}", f"s{i}_1", "its identity changed\x1b[2J", ()))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == r"  drift     s0_1  reused, though its identity changed\x1b[2J"
    assert lines[10:] == ["  drift     and more: marin-build plan shows them all"]


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_without_drift_nothing_is_said_of_it(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    kind(NextCommands("marin-build apply", _alone))(FINISHED)
    assert "marin-build plan" not in capsys.readouterr().out


@pytest.mark.parametrize("kind", [TextView, QuietView])
def test_of_many_failures_the_first_are_told_in_full(
    kind: type[TextView], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the one that explains the others has scrolled away."""
    view = kind(NextCommands("marin-build apply", _alone))
    for i in range(212):
        view(StepEnded(f"s{i}", f"s{i}_1", Failed(1, 1, "no", "", 1.0)))
    view(ApplyFinished("r-1", 0, 212, 0, 0, 0, 0, 0, 1.0))
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 11
    assert told[-1] == "error: s10, s11, s12, s13, s14 and 197 more failed, too"
    assert lines[-1] == "hint: marin-build status lists all; marin-build logs TARGET"
