"""Files written for Marin, which is not installed, are planned and built as they are."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project


FERRY = """\
import argparse
import os

from experiments.words import shout
from fray.types import ResourceConfig
from marin.execution.artifact import Artifact
from marin.execution.step_runner import StepRunner
from marin.execution.step_spec import StepSpec


def build(run_id, lines):
    def write(output_path):
        os.makedirs(output_path, exist_ok=True)
        with open(f"{output_path}/text.txt", "w") as stream:
            stream.write(shout("line") * lines)

    raw = StepSpec(name="ferry/raw", fn=write, hash_attrs={"lines": lines})
    count = StepSpec(
        name="ferry/count",
        deps=[raw],
        fn=lambda output_path: {"n": os.path.getsize(f"{raw.output_path}/text.txt")},
        resources=ResourceConfig(cpu=1, ram="1g", disk="1g"),
        override_output_path=f"ferry/{run_id}/count",
    )
    return [raw, count]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=3)
    steps = build(os.environ["SMOKE_RUN_ID"], parser.parse_args().lines)
    try:
        StepRunner().run(steps)
    except Exception:
        raise SystemExit("the steps were run")
    print(Artifact.load(steps[-1].output_path))


if __name__ == "__main__":
    main()
"""
EXECUTOR = """\
import os
from dataclasses import dataclass

from fray.cluster import ResourceConfig
from marin.execution.executor import (
    ExecutorStep, executor_main, output_path_of, this_output_path, versioned,
)
from marin.execution.remote import remote


@dataclass(frozen=True)
class Model:
    width: int = 4
    seq_len: int = 4096


@dataclass(frozen=True)
class Train:
    output_path: str
    data: str
    model: Model


def train(config):
    os.makedirs(config.output_path, exist_ok=True)
    with open(f"{config.output_path}/model.txt", "w") as stream:
        stream.write(f"{config.data}: {config.model}")


raw = ExecutorStep(name="raw", fn=train, config=Train(this_output_path(), "x", versioned(Model())))
model = ExecutorStep(
    name="train/m+1",
    fn=train,
    config=Train(this_output_path(), output_path_of(raw), versioned(Model(seq_len=4096))),
)
watch = ExecutorStep(
    name="watch",
    fn=train,
    config=Train(this_output_path(), output_path_of(model).nonblocking(), versioned(Model())),
)
big = ExecutorStep(
    name="big",
    fn=remote(train, resources=ResourceConfig.with_tpu("v5p-8")),
    config=Train(this_output_path(), output_path_of(raw), versioned(Model(width=8))),
)

if __name__ == "__main__":
    executor_main(steps=[WANTED], description="as people write it")
"""
LAZY = """\
from marin.execution.lazy import ArtifactStep, run
from marin.execution.artifact import Artifact


class Text(Artifact):
    letters: int = 0


def write(config):
    with open(f"{config['out']}/text.txt", "w") as stream:
        stream.write(config["word"])
    return Text(path=config["out"], letters=len(config["word"]))


text = ArtifactStep(
    name="texts/one",
    version="2026.11.01",
    artifact_type=Text,
    run=write,
    build_config=lambda ctx: {"word": "abc", "out": ctx.output_path},
)

if __name__ == "__main__":
    import os

    print(run(text), os.listdir(text.path()))
"""


@pytest.fixture
def marin(project: Project) -> Project:
    """A project whose files are written for Marin."""
    project.write(
        "marin-build.toml", 'prefix = "bucket"\nmarin_aliases = true\npass_env = ["SMOKE_RUN_ID"]\n'
    )
    project.write("experiments/__init__.py", "")
    project.write("experiments/words.py", "def shout(word):\n    return word.upper()\n")
    return project


@pytest.fixture
def ferry(marin: Project) -> Project:
    marin.write("experiments/ferry.py", FERRY)
    marin.environment["SMOKE_RUN_ID"] = "r1"
    return marin


def _executor(project: Project, wanted: str = "model", seq_len: int = 4096) -> None:
    text = EXECUTOR.replace("WANTED", wanted).replace("seq_len=4096", f"seq_len={seq_len}")
    project.write("run.py", text)


def _run(project: Project, command: str, *words: str) -> Done:
    return project.run(command, "-f", "run.py", *words)


def _decisions(project: Project, *words: str) -> dict[str, str]:
    done = project.run("plan", "--json", *words)
    assert done.code == 0, done.err
    return {each["name"]: each["decision"] for each in done.document["decisions"]}


def test_a_ferry_is_looked_at_without_running_it(ferry: Project) -> None:
    planned = ferry.run("plan", "-f", "experiments/ferry.py")
    assert planned.code == 0, planned.err
    assert "2 to build" in planned.out
    assert planned.err.count("`StepRunner.run` at experiments/ferry.py:33") == 1
    assert "ferry/count" in ferry.run("graph", "-f", "experiments/ferry.py").out
    assert "2 not built" in ferry.run("status", "-f", "experiments/ferry.py").out
    assert not (ferry.root / "bucket").exists()


def test_a_ferry_is_built_and_a_changed_argument_is_the_reason(ferry: Project) -> None:
    file = ["-f", "experiments/ferry.py"]
    applied = ferry.run("apply", *file)
    assert applied.code == 0, applied.err
    count = ferry.root / "bucket/ferry/r1/count"
    assert json.loads((count / ".artifact.json").read_text())["n"] == 12
    assert "nothing to do" in ferry.run("plan", *file).out
    assert "attrs.lines 3 -> 5" in ferry.run("plan", *file, "--set", "lines=5").out
    assert "built" in ferry.run("explain", *file, "ferry/count").out
    assert "attempt 1: succeeded" in ferry.run("logs", "--file", file[1], "ferry/raw").err


def test_a_change_of_code_that_a_main_uses_is_seen(ferry: Project) -> None:
    ferry.run("apply", "-f", "experiments/ferry.py")
    ferry.write("experiments/words.py", "def shout(word):\n    return word.title()\n")
    planned = ferry.run("plan", "-f", "experiments/ferry.py")
    assert "code changed since built: experiments.words.shout()" in planned.out


def test_workers_elsewhere_find_the_same_steps(ferry: Project) -> None:
    """Else the scripts of a plan, and its jobs, say that the pipeline has changed."""
    file = ["-f", "experiments/ferry.py", "--set", "lines=5"]
    saved = ferry.run("plan", *file, "-o", "saved")
    assert saved.code == 0, saved.err
    document = json.loads((ferry.root / "saved/plan.json").read_text())
    assert document["parameters"] == {"env:SMOKE_RUN_ID": "r1", "lines": "5"}
    del ferry.environment["SMOKE_RUN_ID"]
    ran = ferry.bash("saved/run.sh")
    assert ran.code == 0, ran.err
    assert (ferry.root / "bucket/ferry/r1/count/.executor_status").read_text() == "SUCCESS"


@pytest.mark.parametrize("engine", ["slurm", "kubernetes"])
def test_jobs_get_the_arguments_and_the_variables(ferry: Project, engine: str) -> None:
    config = (ferry.root / "marin-build.toml").read_text()
    ferry.write("marin-build.toml", f"{config}[kubernetes]\nimage = 'x/y:1'\n")
    prefix = {"slurm": "bucket", "kubernetes": "memory://bucket/x"}[engine]
    words = ["-f", "experiments/ferry.py", "--set", "lines=5", "-o", "saved", "--prefix", prefix]
    saved = ferry.run("plan", *words, "--engine", engine)
    assert saved.code == 0, saved.err
    document = json.loads((ferry.root / "saved/plan.json").read_text())
    assert document["parameters"] == {"env:SMOKE_RUN_ID": "r1", "lines": "5"}
    assert list((ferry.root / "saved").rglob("*count*"))


def test_a_missing_variable_is_the_author_s_error(ferry: Project) -> None:
    del ferry.environment["SMOKE_RUN_ID"]
    done = ferry.run("plan", "-f", "experiments/ferry.py")
    assert "KeyError: 'SMOKE_RUN_ID'" in done.err
    given = ferry.run("plan", "-f", "experiments/ferry.py", "--set", "env:SMOKE_RUN_ID=r2")
    assert given.code == 0, given.err


def test_a_secret_is_no_variable_of_a_plan(ferry: Project) -> None:
    ferry.write("marin-build.toml", "marin_aliases = true\npass_env = ['HF_TOKEN']\n")
    ferry.environment["HF_TOKEN"] = "hf_abcdefghijklmnopqrstuvwxyz012345"
    done = ferry.run("plan", "-f", "experiments/ferry.py")
    assert "names `HF_TOKEN`, which holds a secret" in done.err
    assert "hf_abc" not in done.err + done.out


def test_without_the_setting_the_file_says_which_one_it_needs(ferry: Project) -> None:
    ferry.write("marin-build.toml", "pass_env = ['SMOKE_RUN_ID']\n")
    assert "`marin_aliases = true`" in ferry.run("plan", "-f", "experiments/ferry.py").err


def test_a_config_s_leaf_is_the_reason_of_a_rebuild(marin: Project) -> None:
    _executor(marin)
    applied = _run(marin, "apply")
    assert applied.code == 0, applied.err
    assert "`executor_main` at run.py:" in applied.err
    _executor(marin, seq_len=8192)
    assert "model.seq_len 4096 -> 8192" in _run(marin, "plan").out
    _executor(marin)
    assert "nothing to do" in _run(marin, "plan").out


def test_an_experiment_s_own_options_are_set(marin: Project) -> None:
    _executor(marin, "model, watch")
    planned = _decisions(marin, "-f", "run.py", "--set", 'run_only=["raw"]')
    assert planned == {"raw": "run"}


def test_a_slice_is_planned_for_kubernetes(marin: Project) -> None:
    marin.write("marin-build.toml", "marin_aliases = true\n[kubernetes]\nimage = 'x/y:1'\n")
    _executor(marin, "big")
    assert "v5p-8" in _run(marin, "plan", "--engine", "kubernetes").out


def test_an_artifact_s_run_is_caught(marin: Project) -> None:
    marin.write("run.py", LAZY)
    assert _decisions(marin, "-f", "run.py") == {"texts/one": "run"}
    applied = _run(marin, "apply")
    assert applied.code == 0, applied.err
    output = marin.root / "bucket/texts/one/2026.11.01"
    assert json.loads((output / ".artifact.json").read_text())["result"]["letters"] == 3
    assert _decisions(marin, "-f", "run.py") == {"texts/one": "reuse"}


def _output(project: Project, name: str) -> Path:
    done = _run(project, "plan", "--json")
    paths = {each["name"]: each["output_path"] for each in done.document["decisions"]}
    path = project.root / str(paths[name])
    path.mkdir(parents=True, exist_ok=True)
    return path


def test_what_marin_built_is_reused_and_its_record_is_shown(marin: Project) -> None:
    _executor(marin)
    output = _output(marin, "train/m+1")
    (output / ".executor_status").write_text("SUCCESS")
    version = {"name": "train/m+1", "config": {"model": {"width": 4, "seq_len": 4096}}}
    record = {"name": "train/m+1", "fn_name": "train", "version": version, "dependencies": ["/x"]}
    (output / ".executor_info").write_text(json.dumps(record))
    assert _decisions(marin, "-f", "run.py") == {"train/m+1": "reuse"}
    explained = _run(marin, "explain", "train/m+1").out
    assert "recorded  by Marin's Executor: train/m+1 train" in explained
    assert "with      model.seq_len = 4096" in explained
    assert "from      /x" in explained


def test_what_changed_since_marin_built_is_the_reason(marin: Project) -> None:
    _executor(marin)
    output, raw = _output(marin, "train/m+1"), _output(marin, "raw")
    (raw / ".executor_status").write_text("SUCCESS")
    model = {"width": 4, "seq_len": 4096}
    record = {
        "name": "train/m+1",
        "config": {"output_path": str(output), "data": str(raw), "model": model},
        "version": {
            "name": "train/m+1",
            "config": {"data": "DEP[0]", "model": model},
            "dependencies": [{"name": "raw", "config": {"model": model}, "dependencies": []}],
        },
        "output_path": str(output),
        "dependencies": [str(raw)],
    }
    (output / ".executor_info").write_text(json.dumps(record))
    _executor(marin, seq_len=8192)
    planned = _run(marin, "plan").out
    assert "model.seq_len 4096 -> 8192" in planned
    assert "needs" not in planned
    explained = _run(marin, "explain", "train/m+1")
    assert f"compared  with train/{output.name}, built by Marin\n" in explained.out


@pytest.mark.parametrize("age", [0, 1_000_000])
def test_a_training_that_marin_runs_is_waited_for(marin: Project, age: int) -> None:
    """Its clock is not ours: only an apply that sees its lock stand still may take it over."""
    _executor(marin)
    output = _output(marin, "train/m+1")
    (output / ".executor_status").write_text("RUNNING")
    lock = {"worker_id": "host-1", "timestamp": time.time() - age}
    (output / ".executor_status.lock").write_text(json.dumps(lock))
    assert _decisions(marin, "-f", "run.py")["train/m+1"] == "wait"


def test_a_training_that_nobody_holds_goes_on_with_its_checkpoints(marin: Project) -> None:
    _executor(marin)
    output = _output(marin, "train/m+1")
    (output / ".executor_status").write_text("RUNNING")
    (output / "checkpoint").write_text("step 100")
    assert _decisions(marin, "-f", "run.py")["train/m+1"] == "run"
    assert _run(marin, "apply").code == 0
    assert (output / "checkpoint").read_text() == "step 100"


def test_who_only_looks_at_a_training_does_not_wait_for_it(marin: Project) -> None:
    _executor(marin)
    output = _output(marin, "train/m+1")
    (output / ".executor_status").write_text("RUNNING")
    lock = {"worker_id": "host-1", "timestamp": time.time()}
    (output / ".executor_status.lock").write_text(json.dumps(lock))
    _executor(marin, "watch")
    assert _decisions(marin, "-f", "run.py") == {"watch": "run"}
    applied = _run(marin, "apply")
    assert applied.code == 0, applied.err
    (built,) = (marin.root / "bucket").glob("watch-*/model.txt")
    assert built.read_text().startswith(str(output))
