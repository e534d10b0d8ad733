"""An experiment of Marin's executor, unchanged: planned, built, explained, and run as a program."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from .support import Project

EXPERIMENT = """\
import os
from dataclasses import dataclass

from marin.execution.executor import (
    ExecutorStep, executor_main, output_path_of, this_output_path, versioned)


@dataclass(frozen=True)
class Model:
    seq_len: int
    width: int = 64


@dataclass(frozen=True)
class Config:
    output_path: str
    data: str | None = None
    model: Model | None = None
    vocab: int = 0


def write(config):
    with open("ran.txt", "a") as stream:
        stream.write(os.path.basename(config.output_path) + "\\n")
    with open(os.path.join(config.output_path, "data.txt"), "w") as stream:
        stream.write(f"{config.data} {config.model}")


base = ExecutorStep("base", write, Config(this_output_path(), model=Model(versioned(128))))
tokens = ExecutorStep("tokens", write, Config(this_output_path(), vocab=versioned(100)))
train = ExecutorStep(
    "train", write,
    Config(this_output_path(), output_path_of(tokens, "data.txt"), Model(versioned(4096))))
evaluate = ExecutorStep(
    "eval", write, Config(this_output_path(), base.cd("checkpoints").nonblocking()))

if __name__ == "__main__":
    executor_main(steps=[train, evaluate], description="a test")
"""
RUN_BY_PYTHON = "import sys, runpy; from marin_build import compat; compat.install(); "


@pytest.fixture
def experiment(project: Project) -> Project:
    project.write("marin-build.toml", "marin_aliases = true\n")
    project.pipeline(EXPERIMENT)
    return project


def test_a_changed_leaf_of_a_config_is_the_reason_and_folders_are_those_of_marin(
    experiment: Project,
) -> None:
    """People know their outputs by these names, and their changes by these paths."""
    assert experiment.run("apply").code == 0
    folders = {folder.name for folder in (experiment.root / OUTPUTS).iterdir()}
    assert {"tokens-434f42", "train-39ed0c", "eval-a7bcdf"} < folders
    assert not any(name.startswith("base") for name in folders)
    experiment.pipeline(EXPERIMENT.replace("4096", "8192").replace(" = 64", " = 32"))
    planned = experiment.run("plan", "-v")
    assert "attrs.model.seq_len 4096 -> 8192 (pipeline.py:31)" in planned.out
    assert "tokens-434f42" in planned.out
    explained = experiment.run("explain", "train")
    assert "compared  with train-39ed0c, built" in explained.out
    assert experiment.run("plan", "eval-a7bcdf").out.startswith("  = 1 reused")


def test_what_the_program_builds_a_plan_reuses_and_the_reverse(experiment: Project) -> None:
    """Colleagues go on with `python experiment.py` in the same bucket."""
    program = f"{RUN_BY_PYTHON}runpy.run_path('pipeline.py', run_name='__main__')"
    done = experiment.execute([sys.executable, "-c", program], env={"MARIN_PREFIX": OUTPUTS})
    assert done.code == 0, done.err
    assert experiment.counts() == {"tokens-434f42": 1, "train-39ed0c": 1, "eval-a7bcdf": 1}
    (document,) = (experiment.root / OUTPUTS / "experiments").iterdir()
    assert [step["name"] for step in json.loads(document.read_text())["steps"]] == [
        "tokens",
        "train",
        "base",
        "eval",
    ]
    assert experiment.run("apply").out.startswith("nothing to do")
    record = json.loads((experiment.root / OUTPUTS / "train-39ed0c/.executor_info").read_text())
    assert record["config"]["model"] == {"seq_len": 4096, "width": 64}
    assert record["version"]["config"] == {"data": "DEP[0]/data.txt", "model.seq_len": 4096}
    again = experiment.execute([sys.executable, "-c", program], env={"MARIN_PREFIX": OUTPUTS})
    assert again.code == 0, again.err
    assert sum(experiment.counts().values()) == 3
