"""Marin itself is installed: its files are planned as they are, and what it built is found.

Its wheels lie in `.venv/marin`, as `.ci/run` installs them; without them these tests are skipped.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from .support import CHECKOUT, PROGRAM

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project


WHEELS = CHECKOUT / ".venv" / "marin"
EDGES = CHECKOUT / "tests" / "servers" / "marin_edges"
pytestmark = pytest.mark.skipif(not WHEELS.is_dir(), reason="needs Marin's wheels in .venv/marin")

EXPERIMENT = """\
import dataclasses
import os

from fray.types import ResourceConfig
from marin.execution import ExecutorStep, executor_main, output_path_of, this_output_path, versioned
from marin.execution.remote import remote
from marin.execution.step_spec import StepSpec


@dataclasses.dataclass(frozen=True)
class Model:
    width: int = 4
    seq_len: int = 4096


@dataclasses.dataclass(frozen=True)
class Train:
    output_path: str
    tokens: str
    model: Model
    note: str = "not in the version"


def write(output_path):
    os.makedirs(output_path, exist_ok=True)
    with open(f"{output_path}/text.txt", "w") as stream:
        stream.write("abc")
    return {"letters": 3}


def train(config):
    os.makedirs(config.output_path, exist_ok=True)
    with open(f"{config.tokens}/text.txt") as stream:
        letters = len(stream.read())
    with open(f"{config.output_path}/model.txt", "w") as stream:
        stream.write("x" * letters * config.model.width)


def note(config):
    os.makedirs(config.output_path, exist_ok=True)
    with open(f"{config.output_path}/note.txt", "w") as stream:
        stream.write(config.note)


raw = StepSpec(name="raw", fn=write, hash_attrs={"mode": "all"})
tokens = StepSpec(name="tokens", deps=[raw], fn=write, override_output_path="given/tokens")
model = ExecutorStep(
    name="train/m+1",
    fn=train,
    config=Train(this_output_path(), output_path_of(tokens.as_executor_step()), versioned(Model())),
)
late = ExecutorStep(
    name="late",
    fn=remote(note, resources=ResourceConfig.with_tpu("v5p-8")),
    config=Train(this_output_path(), output_path_of(model).nonblocking(), versioned(Model())),
)

if __name__ == "__main__":
    executor_main(steps=[model, late], description="as people write it")
"""


@pytest.fixture
def marin(project: Project) -> Project:
    """A project in which Marin is installed, and its prefix a bucket."""
    project.environment = {
        "PYTHONPATH": f"{EDGES}:{WHEELS}",
        "MARIN_PREFIX": str(project.root / "bucket"),
    }
    project.write("experiment.py", EXPERIMENT)
    project.write("marin-build.toml", "")
    return project


def _run(project: Project, *words: str) -> Done:
    return project.execute([PROGRAM, *words, "-f", "experiment.py"])


def _paths(project: Project) -> dict[str, str]:
    done = _run(project, "plan", "--json")
    assert done.code == 0, done.err
    return {each["name"]: each["output_path"] for each in done.document["decisions"]}


def _bucket(project: Project) -> list[Path]:
    return sorted((project.root / "bucket").rglob("*"))


def test_marin_s_own_paths_are_planned_and_nothing_is_run(marin: Project) -> None:
    dry = marin.execute([sys.executable, "experiment.py", "--dry_run", "True"])
    assert dry.code == 0, dry.err
    lines = [line for line in dry.err.splitlines() if "Output_path = " in line]
    theirs = {line.partition("Output_path = ")[2] for line in lines}
    assert len(theirs) == 4
    assert theirs == {f"{marin.root}/{path}" for path in _paths(marin).values()}
    assert _bucket(marin) == []


def test_what_marin_built_is_reused_and_its_record_is_shown(marin: Project) -> None:
    built = marin.execute([sys.executable, "experiment.py"])
    assert built.code == 0, built.err
    document = _run(marin, "plan", "--json").document
    assert document["summary"]["reuse"] == 4
    explained = _run(marin, "explain", "train/m+1").out
    assert "recorded  by Marin's Executor: train/m+1 <function train" in explained
    assert "with      model.seq_len = 4096" in explained
    assert 'with      attrs.mode = "all"' in _run(marin, "explain", "raw").out
    marin.write("experiment.py", EXPERIMENT.replace("= 4096", "= 8192"))
    assert "model.seq_len 4096 -> 8192" in _run(marin, "plan", "train/m+1").out


def test_what_is_built_here_is_reused_there(marin: Project) -> None:
    applied = _run(marin, "apply", "train/m+1")
    assert applied.code == 0, applied.err
    assert "of the call `executor_main` at experiment.py:" in applied.err
    assert not list((marin.root / "bucket").glob("late-*"))
    before = {path: path.stat().st_mtime_ns for path in _bucket(marin) if path.is_file()}
    again = marin.execute([sys.executable, "experiment.py"])
    assert again.code == 0, again.err
    assert again.err.count("already succeeded") >= 2
    changed = {p.name for p, at in before.items() if p.stat().st_mtime_ns != at}
    assert changed <= {".executor_info"}  # its Executor writes the records of all steps anew


def test_a_plan_names_the_leaf_of_the_config_that_changed(marin: Project) -> None:
    _run(marin, "apply", "train/m+1")
    marin.write("experiment.py", EXPERIMENT.replace("= 4096", "= 8192"))
    planned = _run(marin, "plan", "train/m+1")
    assert "model.seq_len 4096 -> 8192" in planned.out


def test_a_saved_plan_for_kubernetes_asks_for_marin_s_slice(marin: Project) -> None:
    marin.write("marin-build.toml", "[kubernetes]\nimage = 'x/y:1'\n")
    done = _run(marin, "plan", "late", "--engine", "kubernetes", "-v")
    assert "v5p-8" in done.out, done.err


def test_steps_that_no_call_runs_are_still_the_file_s(marin: Project) -> None:
    with_call = _paths(marin)
    marin.write("experiment.py", EXPERIMENT.partition("if __name__")[0])
    assert _paths(marin) == with_call


def test_a_mistake_of_the_file_s_own_arguments_is_told(marin: Project) -> None:
    done = _run(marin, "plan", "--set", "max_concurrent=many")
    assert done.code != 0
    assert "does not take its arguments" in done.err or "max_concurrent" in done.err
    assert json.dumps(done.out)


def test_what_marin_built_is_reused_by_the_new_form(marin: Project) -> None:
    """Its steps, and what fray says they run on, stand among ours: a file moves step by step."""
    marin.write("experiment.py", EXPERIMENT.replace(".nonblocking()", ""))
    applied = _run(marin, "apply", "train/m+1")
    assert applied.code == 0, applied.err
    for words in (["--step", "late"], ["--write"]):
        done = marin.execute([PROGRAM, "migrate", "experiment.py", *words])
        assert done.code == 0, done.out + done.err
        assert "4 of 4 targets keep their output path; nothing would be built anew" in done.out
    native = (marin.root / "experiment_native.py").read_text()
    assert "from marin_build import StepSpec, step" in native
    assert "as_executor_step" not in native
