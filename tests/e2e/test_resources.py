"""What steps take of this machine: never more than there is, and nothing that is not there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .support import Gate, Project

HEAD = """\
import fcntl, os
from pathlib import Path
from marin_build import ResourceConfig, StepSpec, step
from gate import wait_at_gate

def places(count):
    # As many files as there are places: whoever finds all of them locked is one too many.
    for i in range(count):
        stream = open(f"place-{i}", "w")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return stream
        except BlockingIOError:
            stream.close()
    raise RuntimeError("too many at once")

def build(name, count):
    def fn(output):
        place = places(count) if count else None
        wait_at_gate(name)
        Path(output, "x").touch()
    return fn
"""


@pytest.mark.parametrize("said", ["option", "configuration", "profile"])
def test_a_budget_is_never_exceeded_and_holds_up_nobody_else(
    project: Project, gate: Gate, said: str
) -> None:
    """Else the service that a budget protects locks everybody out."""
    project.pipeline(
        f"{HEAD}\ntargets = ["
        "*(StepSpec(name=f'ask/{i}', fn=build(f'ask/{i}', 2), budgets={'api': 1})"
        " for i in range(4)), StepSpec(name='free', fn=build('free', 0))]\n"
    )
    tables = {"configuration": "[budgets]\napi = 2\n",
              "profile": "[budgets]\napi = 4\n[profiles.mild.budgets]\napi = 2\n"}  # fmt: skip
    project.write("marin-build.toml", tables.get(said, "[budgets]\napi = 4\n"))
    words = {"option": ["--budget", "api=2"], "profile": ["--profile", "mild"]}.get(said, [])
    running = project.start("apply", "--json", "-j", "5", *words)
    began = {gate.wait_started()[0] for _ in range(3)}
    assert began == {"ask/0", "ask/1", "free"}
    gate.let_go(5)
    done = running.wait()
    assert (done.code, done.events[-1]["succeeded"]) == (0, 5)
    late = [e for e in done.events if e["event"] == "step_started" and e["queued"]]
    assert {event["name"] for event in late} >= {"ask/2"}


@pytest.mark.parametrize("isolation", ["process", "worker"])
def test_each_gpu_step_sees_devices_of_its_own(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else two trainings share a GPU, and both run out of its memory."""
    project.pipeline(
        f"{HEAD}\n"
        "def look(output):\n"
        "    seen = os.environ.get('CUDA_VISIBLE_DEVICES', 'none')\n"
        "    wait_at_gate(seen)\n"
        "    Path(output, 'x').write_text(seen)\n"
        "gpu = ResourceConfig.with_gpu('h100')\n"
        "targets = [StepSpec(name=f's{i}', fn=look, resources=gpu) for i in range(3)]\n"
        "targets.append(StepSpec(name='both', fn=look, resources="
        "ResourceConfig.with_gpu('h100', 2)))\n"
        "targets.append(StepSpec(name='plain', fn=look))\n"
    )
    project.write("marin-build.toml", f"isolation = '{isolation}'\n[budgets]\ngpu = 2\n")
    running = project.start("apply", "--json", "-j", "5")
    began = dict(gate.wait_started() for _ in range(3))
    assert set(began) == {"0", "1", "none"}
    gate.let_go(5)
    processes = [*began.values(), *(gate.wait_started()[1] for _ in range(2))]
    assert len(set(processes)) == 5, "who has used a GPU in a process cannot choose another there"
    assert running.wait().code == 0
    assert (project.output_of("both") / "x").read_text() == "0,1"


BIG = """\
from pathlib import Path
from marin_build import ResourceConfig, StepSpec, step

@step
def raw(output: Path) -> None:
    (output / "x").touch()

@step(resources=ResourceConfig.with_gpu("h100", 8))
def train(output: Path, raw: Path) -> None:
    (output / "x").touch()

@step
def report(output: Path, train: Path) -> None:
    (output / "x").touch()

@step(budgets={"api": 3})
def ask(output: Path) -> None:
    (output / "x").touch()

def pipeline():
    return [report(train=train(raw=raw())), ask()]
"""
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
NEEDS = (
    "needs 8 GPUs, this machine has none "
    "(--engine slurm, or --engine ray, or --engine kubernetes, or --budget gpu=8 if it has them"
)


def test_a_step_that_needs_a_device_that_is_not_here_is_refused_before_anything_runs(
    project: Project,
) -> None:
    """Else a night is spent on the inputs of a step that fails at its first line."""
    project.pipeline(BIG)
    planned = project.run("plan", env=NO_GPU)
    assert f"x blocked  train_HASH   {NEEDS} after all)" in project.mask(planned.out)
    assert "x blocked  report_HASH  needs train_HASH, which is blocked" in project.mask(planned.out)
    found = project.run("plan", "--json", env=NO_GPU).document["decisions"]
    (reason,) = next(d for d in found if d["name"] == "train")["reasons"]
    assert (reason["kind"], reason["device"], reason["needed"]) == ("device_missing", "gpu", 8)
    explained = project.run("explain", "train", env=NO_GPU)
    assert f"decision  blocked: {NEEDS}" in explained.out
    done = project.run("apply", "-k", env=NO_GPU)
    assert f"  blocked   train_HASH  {NEEDS} after all)\n" in project.mask(done.out)
    assert (done.code, "2 built, 0 reused, 2 blocked" in done.out) == (1, True)
    again = project.run("apply", env=NO_GPU)
    assert (again.code, again.out) == (1, "")
    assert f"error: `train` is blocked: {NEEDS}" in again.err
    assert "hint" not in again.err


def test_who_has_the_device_after_all_says_so(project: Project) -> None:
    """Else a device that we do not know how to find cannot be used."""
    project.pipeline(BIG)
    assert project.run("plan", "--budget", "gpu=8", env=NO_GPU).out.count("never built") == 4
    elsewhere = project.run("plan", "--engine", "kubernetes", env=NO_GPU)
    assert elsewhere.out.count("never built") == 4
    over = project.run("plan", "--budget", "gpu=8", "--budget", "api=2", env=NO_GPU)
    assert "needs 3 of the budget `api`, and there is 2 (--budget)" in over.out
    assert project.run("apply", "--budget", "gpu=8", env=NO_GPU).code == 0


def test_a_saved_plan_leaves_out_what_it_blocked(project: Project) -> None:
    """Else its replay stops, or builds what nobody reviewed."""
    project.pipeline(BIG)
    assert project.run("plan", "-o", "saved", env=NO_GPU).code == 0
    found = json.loads(project.file("saved/plan.json"))["decisions"]
    assert {d["name"]: d["decision"] for d in found} == {
        "raw": "run", "train": "blocked", "report": "blocked", "ask": "run",
    }  # fmt: skip
    replayed = project.bash("saved/run.sh")
    assert (replayed.code, replayed.err) == (0, "")
    assert project.status_of("ask") == "SUCCESS"
    applied = project.run("apply", "saved", "--budget", "gpu=8")
    assert (applied.code, "blocked when the plan was made" in applied.err) == (1, True)


def test_a_budget_that_limits_nothing_is_told(project: Project) -> None:
    """Else a mistyped name lets a hundred steps at a service that bears four."""
    project.pipeline(BIG)
    said = "warning: no step takes from the budget `apl`\nhint: did you mean `api`?\n"
    for command in ("plan", "apply"):
        done = project.run(command, "ask", "--budget", "apl=4", "--budget", "ram=1Gi")
        assert (done.code, done.err) == (0, said)


def test_cores_that_are_said_to_be_there_limit_every_step(project: Project) -> None:
    """Else a shared machine is filled although its owner gave away one core of it."""
    project.pipeline(
        "from pathlib import Path\nfrom marin_build import StepSpec\n"
        "def build(output):\n    Path(output, 'x').touch()\n"
        "targets = [StepSpec(name=f's{i}', fn=build) for i in range(3)]\n"
    )
    project.write("marin-build.toml", "[budgets]\ncpu = 1\n")
    done = project.run("apply", "--json", "-j", "3", "--budget", "api=1")
    kinds = [event["event"] for event in done.events if event["event"].startswith("step_")]
    assert kinds == ["step_started", "step_succeeded"] * 3


@pytest.mark.parametrize(
    "words",
    [["--budget", "api"], ["--budget", "api=x"], ["--budget", "ram=16GB"], ["--budget", "=3"]],
)
def test_a_budget_that_is_none_is_refused(project: Project, words: list[str]) -> None:
    project.pipeline(BIG)
    done = project.run("apply", *words)
    assert (done.code, done.out) == (4, "")
    assert "budget" in done.err
    project.write("marin-build.toml", "[budgets]\napi = 'many'\n")
    told = project.run("plan")
    assert (told.code, "marin-build.toml" in told.err) == (4, True)
