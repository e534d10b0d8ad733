"""How long a plan takes and what it costs, from the builds there were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .support import Project

PIPELINE = """
from pathlib import Path
from marin_build import ResourceConfig, step

@step
def tokenize(output: Path, seq_len: int) -> None:
    (output / "x").write_text("x")

@step(resources=ResourceConfig.with_tpu("v5p-8"))
def train(output: Path, tokens: Path) -> None:
    (output / "x").write_text("x")

@step
def fresh(output: Path, model: Path) -> None:
    (output / "x").write_text("x")

def pipeline(seq_len: int = 1, more: bool = False):
    model = train(tokenize(seq_len))
    return [fresh(model) if more else model]
"""


def test_a_plan_says_how_long_and_for_how_much(project: Project) -> None:
    """Else a step worth thousands of dollars starts like any other."""
    project.pipeline(PIPELINE)
    project.write("marin-build.toml", "[budgets]\ntpu = 4\n")
    assert project.run("apply").code == 0
    assert " on the critical path" not in project.run("plan", "--set", "seq_len=2").out
    for name, hours in (("tokenize", 2), ("train", 10)):
        path = project.output_of(name) / ".executor_info"
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "seconds": hours * 3600.0}))
    planned = project.run("plan", "--set", "seq_len=2")
    lines = project.mask(planned.out).splitlines()
    assert (
        lines[0]
        == "  ~ rebuild  tokenize_HASH  attrs.seq_len 1 -> 2 (pipeline.py:18)                2 h"
    )
    assert lines[1].startswith("  ! cascade  train_HASH     needs tokenize, which changed: ")
    assert "  10 h  v5p-8  $" in lines[1]
    assert (
        "2 to build (1 rebuild, 1 cascade), 0 reused - about 12 h on the critical path, $"
        in lines[2]
    )
    unknown = project.run("plan", "--set", "seq_len=2", "--set", "more=true").out
    assert "at least 12 h on the critical path" in unknown
    assert "no history: 1 of 3" in unknown


def test_what_steps_take_together_makes_it_longer(project: Project) -> None:
    """Else a plan promises hours that a rate limit, or the memory, makes a day."""
    project.pipeline(
        "from marin_build import command\n"
        "def pipeline(n: int = 1):\n"
        "    return [command('echo {n} > {output}/x', name=f'call-{i}', params={'n': n},\n"
        "                    budgets={'api': 1}) for i in range(4)]\n"
    )
    assert project.run("apply").code == 0
    for i in range(4):
        path = project.output_of(f"call-{i}") / ".executor_info"
        path.write_text(json.dumps({**json.loads(path.read_text()), "seconds": 3600.0}))
    anew = ("plan", "--set", "n=2", "-j", "4")
    assert " - about 1 h on the critical path" in project.run(*anew).out
    limited = project.run(*anew, "--budget", "api=2").out
    assert " - about 2 h with -j 4 and the resources here, 1 h on the critical path" in limited
