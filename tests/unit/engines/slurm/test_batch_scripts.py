"""Batch scripts: what a step asked for, in words that sbatch and bash cannot read otherwise."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec, command
from marin_build.engines.emission import emit_for
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table
from marin_build.errors import MarinBuildError, UsageError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Workspace("/project", "/project/out")


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with in_workspace(HERE):
        yield


def _emit(*steps: StepSpec, **settings: Any) -> dict[str, str]:
    targets = make_targets(build_graph(steps), HERE)
    seen = dict.fromkeys(range(len(targets)), Observed())
    plan = make_plan(targets, Snapshot(seen), targets.requested)
    engine = open_engine("slurm", {"slurm": Table("slurm", settings, "here")})
    return emit_for(engine, plan, pipeline="p.py", parameters={"n": "a b"}, overrides=None)


def _options(step: StepSpec, **settings: Any) -> list[str]:
    text = _emit(step, **settings)[f"steps/{step.target_id}/job.sbatch"]
    return [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith("#SBATCH ")]


def _step(name: str = "a", **fields: Any) -> StepSpec:
    return command("echo {output}", name=name, **fields)


@pytest.mark.parametrize(
    ("fields", "settings", "asked"),
    [
        ({}, {}, ["--cpus-per-task=1", "--nodes=1"]),
        (
            {"resources": ResourceConfig.with_cpu(2.5, "3Gi")},
            {},
            ["--cpus-per-task=3", "--mem=3072M"],
        ),
        ({"resources": ResourceConfig.with_gpu("h100", 2)}, {}, ["--gres=gpu:h100:2"]),
        (
            {"resources": ResourceConfig.with_gpu("h100", 2)},
            {"gpu_types": False, "gpu_gres": "card"},
            ["--gres=card:2"],
        ),
        (
            {"resources": ResourceConfig.with_tpu("v5p-8")},
            {},
            ["--gres=tpu:4", "--exclusive", "--mem=0"],
        ),
        (
            {"resources": ResourceConfig.with_gpu("h100", 2, ram="8Gi")},
            {},
            ["--gres=gpu:h100:2", "--exclusive", "--mem=8192M"],
        ),
        (
            {"resources": ResourceConfig.with_gpu("h100", 2, cpu=6)},
            {},
            ["--gres=gpu:h100:2", "--cpus-per-task=6"],
        ),
        ({"timeout": 61.0}, {"time_limit": 5}, ["--time=7"]),
        ({}, {"time_limit": 5, "requeue": False}, ["--time=5", "--no-requeue"]),
        ({}, {"partition": "gpu", "options": ["--exclusive"]}, ["--partition=gpu", "--exclusive"]),
    ],
)
def test_a_job_asks_for_what_its_step_needs(
    fields: dict[str, Any], settings: dict[str, Any], asked: list[str]
) -> None:
    """Else a step waits for nothing, or gets a machine that it cannot use."""
    assert set(asked) <= set(_options(_step(**fields), **settings))


def test_a_job_has_one_name_wherever_its_plan_is_made() -> None:
    """Else a run that was killed is not found again, and its work is paid twice."""
    (first,) = [o for o in _options(_step()) if o.startswith("--job-name=")]
    (again,) = [o for o in _options(_step(), partition="x") if o.startswith("--job-name=")]
    (other,) = [o for o in _options(_step("b")) if o.startswith("--job-name=")]
    assert first == again != other


@pytest.mark.parametrize("value", ["two words", "a'b", 'a"b', "a\nb", "a#b", "$x", "`x`", "", "\\"])
@pytest.mark.parametrize("key", ["partition", "account", "qos", "constraint", "reservation"])
def test_a_setting_that_would_not_stay_one_word_is_refused(key: str, value: str) -> None:
    """Else it becomes other options, or ends the options of the script."""
    with pytest.raises(UsageError, match=key):
        _emit(_step(), **{key: value})


@pytest.mark.parametrize(
    "value", ["$(touch /tmp/x)", "a'b", 'a"b', "a\nb", "a;b", "`x`", "ü", "-n"]
)
def test_hostile_parameters_reach_the_program_as_they_are(value: str) -> None:
    """Else a parameter runs on a node of the cluster."""
    targets = make_targets(build_graph([_step()]), HERE)
    plan = make_plan(targets, Snapshot({0: Observed()}), targets.requested)
    engine = open_engine("slurm", {"slurm": Table("slurm", {"program": "printf"}, "here")})
    files = emit_for(engine, plan, pipeline="p.py", parameters={"n": value}, overrides=None)
    text = files[f"steps/{_step().target_id}/job.sbatch"]
    *_, run = text.partition("\nexec ")
    assert f"n={value}" in shlex.split(run)
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_what_slurm_cannot_run_is_refused_before_anything_is_submitted() -> None:
    """Else the cheap steps run first, and the dear one is found impossible."""
    image = _step("boxed", resources=ResourceConfig.with_cpu(1).with_image("x:1"))
    with pytest.raises(MarinBuildError) as caught:
        _emit(image)
    assert "`boxed` names an image" in caught.value.render()


@pytest.mark.parametrize(
    ("resources", "hosts"),
    [
        (ResourceConfig.with_tpu("v5p-16"), 2),
        (ResourceConfig.with_tpu("v5p-16", 2), 4),
        (ResourceConfig.with_gpu("h100", 8, replicas=3), 3),
        (ResourceConfig.with_cpu(2, replicas=1), 1),
        (None, 1),
    ],
)
def test_each_host_of_a_step_gets_a_rank(resources: ResourceConfig | None, hosts: int) -> None:
    """Else a step on several hosts runs on the first of its nodes, and the others idle."""
    gang = _step("gang", resources=resources)
    text = _emit(gang)[f"steps/{gang.target_id}/job.sbatch"]
    assert f"#SBATCH --nodes={hosts}\n" in text
    _, _, run = text.partition("\nexec ")
    words = shlex.split(run)
    assert ("srun" in words) == (hosts > 1)
    assert words[words.index("--target") + 1] == gang.target_id
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_a_rank_learns_what_it_is_on_its_own_node() -> None:
    """Else all ranks are what the first node is: each of them leads."""
    gang = _step("gang", resources=ResourceConfig.with_cpu(1, replicas=3))
    text = _emit(gang, program="env")[f"steps/{gang.target_id}/job.sbatch"]
    _, _, run = text.partition("\nexec ")
    words = shlex.split(run)
    words = [*words[words.index("bash") : words.index("rank") + 1], "env"]
    environ = {"SLURM_PROCID": "2", "SLURM_NTASKS": "3", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    assert {"MARIN_BUILD_RANK=2", "MARIN_BUILD_RANKS=3"} <= set(done.stdout.splitlines())


def test_the_plan_is_submitted_dependencies_first() -> None:
    """Else a job is submitted before the one whose id it must wait for."""
    first = _step("first")
    second = command("cp {x} {output}", name="second", deps={"x": first})
    script = _emit(second)["submit.sh"]
    lines = [line for line in script.splitlines() if line.startswith("submit ")]
    assert lines == [
        f"submit {first.target_id}",
        f"submit {second.target_id} {first.target_id}",
    ]
