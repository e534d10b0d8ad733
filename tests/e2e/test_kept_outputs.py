"""A step that did its work and returned what cannot be saved: its output is committed later."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from .support import Project

TRAINING = """\
import fractions
from pathlib import Path
from marin_build import step


@step(retries=2)
def train(output: Path) -> dict:
    with open(Path(__file__).parent / "ran.txt", "a") as stream:
        stream.write("train\\n")
    (output / "weights").write_text("hours")
    return {"metrics": [{"loss": fractions.Fraction(9, 4)}]}


@step
def report(output: Path, metrics: dict, model: Path) -> None:
    (name,) = [path.name for path in model.glob("w*")]
    (output / "report").write_text(f"{metrics['metrics'][0]['loss']} {name}")


def pipeline():
    model = train()
    return [report(metrics=model, model=model)]
"""


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_work_is_done_once_and_its_result_is_given_by_hand(
    project: Project, isolation: str
) -> None:
    """Else every apply trains again, and fails again at the last line."""
    project.pipeline(TRAINING)
    failed = project.run("apply", "--isolation", isolation)
    assert failed.code == 1
    assert "`metrics[0].loss: fractions.Fraction`" in failed.err
    assert "marin-build commit train --artifact FILE" in failed.err
    (weights,) = project.root.glob(f"{OUTPUTS}/train_*/weights")
    for _ in range(2):
        blocked = project.run("apply")
        assert blocked.code == 1
        assert "its output is kept" in blocked.err
        assert weights.read_text() == "hours"
    assert project.run("commit", "train").code == 4
    project.write("wrong.json", "[1]")
    wrong = project.run("commit", "train", "--artifact", "wrong.json")
    assert (wrong.code, "is no dict, which `train` returns" in wrong.err) == (4, True)
    project.write("loss.json", json.dumps({"metrics": [{"loss": 2.25}]}))
    done = project.run("commit", "train", "--artifact", "loss.json")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("committed `train_")
    assert project.run("commit", "train", "--no-artifact").code == 4
    assert project.run("apply").code == 0
    assert project.run("verify", "train").code == 0
    assert (project.root / "ran.txt").read_text() == "train\n"
    (report,) = project.root.glob(f"{OUTPUTS}/report_*/report")
    assert report.read_text() == "2.25 weights"
