"""What a run prints: what nobody may miss, and no wall of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.apply.events import StepDrifted
from marin_build.cli.views.apply_text import QuietView, TextView

if TYPE_CHECKING:
    from marin_build.apply.events import StepFailed


def _alone(failure: StepFailed) -> str:
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
