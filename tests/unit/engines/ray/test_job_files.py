"""Files of jobs: what a step asked for, in words that Ray and its shell cannot read otherwise."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec, command
from marin_build.engines.emission import emit_for
from marin_build.engines.ray.job_files import needs_in
from marin_build.engines.ray.job_queue import name_and_number, with_id
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
    from pathlib import Path

HERE = Workspace("/a 'project'", "/a 'project'/out")


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with in_workspace(HERE):
        yield


def _emit(*steps: StepSpec, parameter: str = "a b", **settings: Any) -> dict[str, str]:
    targets = make_targets(build_graph(steps), HERE)
    seen = dict.fromkeys(range(len(targets)), Observed())
    plan = make_plan(targets, Snapshot(seen), targets.requested)
    engine = open_engine("ray", {"ray": Table("ray", settings, "here")})
    return emit_for(engine, plan, pipeline="p.py", parameters={"n": parameter}, overrides=None)


def _body(step: StepSpec, **settings: Any) -> dict[str, Any]:
    body = json.loads(_emit(step, **settings)[f"steps/{step.target_id}/job.json"])
    assert isinstance(body, dict)
    return body


def _step(name: str = "a", **fields: Any) -> StepSpec:
    return command("echo {output}", name=name, **fields)


@pytest.mark.parametrize(
    ("resources", "settings", "asked"),
    [
        (None, {}, {"entrypoint_num_cpus": 1}),
        (
            ResourceConfig.with_cpu(2.5, "3Gi"),
            {},
            {"entrypoint_num_cpus": 2.5, "entrypoint_memory": 3 << 30},
        ),
        (
            ResourceConfig.with_gpu("h100", 2, cpu=4),
            {},
            {
                "entrypoint_num_cpus": 4,
                "entrypoint_num_gpus": 2,
                "entrypoint_resources": {"accelerator_type:H100": 0.001},
            },
        ),
        (
            ResourceConfig.with_gpu("h100", 2),
            {"gpu_types": False, "resources": {"spot": 0.5}},
            {
                "entrypoint_num_cpus": 1,
                "entrypoint_num_gpus": 2,
                "entrypoint_resources": {"spot": 0.5},
            },
        ),
        (
            ResourceConfig.with_tpu("v4-8"),
            {},
            {"entrypoint_num_cpus": 1, "entrypoint_resources": {"TPU": 4, "TPU-v4-8-head": 1}},
        ),
        (
            ResourceConfig.with_tpu("v4-8"),
            {"tpu_head": ""},
            {"entrypoint_num_cpus": 1, "entrypoint_resources": {"TPU": 4}},
        ),
    ],
)
def test_a_job_asks_for_what_its_step_needs(
    resources: ResourceConfig | None, settings: dict[str, Any], asked: dict[str, Any]
) -> None:
    """Else a step waits for nothing, or gets a machine that it cannot use."""
    body = _body(_step(resources=resources), **settings)
    assert {key: value for key, value in body.items() if key.startswith("entrypoint_")} == asked
    needs = needs_in(body["metadata"])  # Ray does not list what a job asked for
    assert needs["CPU"] == asked["entrypoint_num_cpus"]
    assert asked.get("entrypoint_resources", {}).items() <= needs.items()


@pytest.mark.parametrize(
    "value", ["$(touch x)", "a'b", 'a"b', "a\nb", "a;b", "`x`", "ü", "-n", "\\", "{{ x }}", "%s"]
)
def test_hostile_parameters_reach_the_program_as_they_are(value: str, tmp_path: Path) -> None:
    """Else a parameter runs on a node of the cluster."""
    program = tmp_path / "my program"
    program.write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
    program.chmod(0o755)
    entry = _body(_step(), parameter=value, program=str(program))["entrypoint"]
    there = f"cd -- '/a '\"'\"'project'\"'\"'' && exec '{program}' "
    assert entry.startswith(there)
    line = entry.replace(there, f"exec '{program}' ")
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, check=True)
    assert f"n={value}" in done.stdout.split("\0")
    assert list(tmp_path.iterdir()) == [program]


def test_a_job_has_one_name_wherever_its_plan_is_made_and_a_number_for_each_submit() -> None:
    """Else a run that was killed is not found again, or Ray refuses to try again."""
    text = _emit(_step())[f"steps/{_step().target_id}/job.json"]
    name = json.loads(text)["submission_id"]
    assert name == _body(_step(), max_jobs=3)["submission_id"] != _body(_step("b"))["submission_id"]
    first, second = (json.loads(with_id(text, name, f"{name}-{n}")) for n in (1, 2))
    assert name_and_number(second["submission_id"]) == (name, 2)
    assert second["runtime_env"]["env_vars"]["MARIN_BUILD_JOB"] == f"ray:{name}-2"
    assert first["entrypoint"] == second["entrypoint"] == json.loads(text)["entrypoint"]
    for broken in ("", "[]", "{}", text.replace(name, "other"), text.replace("ray:", "slurm:")):
        with pytest.raises(ValueError, match=r"Expecting|object|name"):
            with_id(broken, name, f"{name}-1")


@pytest.mark.parametrize("id_", ["", "x", "raysubmit_1", "mb-x-1a", "mb-x-²", "mb-x-" + "9" * 30])
def test_a_job_of_another_program_is_none_of_ours(id_: str) -> None:
    """Else a job that a person submitted breaks every run."""
    assert name_and_number(id_) == ("", 0)


def test_the_environment_of_jobs_is_ray_s_and_ours() -> None:
    """Else Ray kills a step 3 seconds after Ctrl-C, in the middle of its checkpoint."""
    given = {"pip": ["x==1"], "env_vars": {"A": "b", "MARIN_BUILD_JOB": "no"}}
    found = _body(_step(), runtime_env=given)["runtime_env"]
    assert found["pip"] == ["x==1"]
    job = found["env_vars"].pop("MARIN_BUILD_JOB")
    assert job == f"ray:{_body(_step())['submission_id']}"
    assert found["env_vars"] == {"A": "b", "RAY_JOB_STOP_WAIT_TIME_S": "30"}


def test_what_ray_cannot_run_is_refused_before_anything_is_submitted() -> None:
    """Else the cheap steps run first, and the dear one is found impossible."""
    image = _step("boxed", resources=ResourceConfig.with_cpu(1).with_image("x:1"))
    gang = _step("gang", resources=ResourceConfig.with_tpu("v5p-16"))
    with pytest.raises(MarinBuildError) as caught:
        _emit(image, gang)
    assert "`boxed` names an image" in caught.value.render()
    assert "`gang` needs 2 hosts at once" in caught.value.render()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"address": "ray://head:10001"}, "ray.address"),
        ({"address": "head:6379"}, "ray.address"),
        ({"address": "http://me:hunter2@head"}, "holds a user or a password"),
        ({"address": "http://head:x"}, "ray.address"),
        ({"address": "http://head/?a=b"}, "ray.address"),
        ({"token": "hunter2hunter2"}, "ray.token"),
        ({"headers": {"X-Key": "hunter2"}}, "ray.headers.X-Key"),
        ({"headers": {"X Key": "env:A"}}, "ray.headers"),
        ({"headers": {"X-Key": 1}}, "ray.headers.X-Key"),
        ({"resources": {"spot": 0}}, "ray.resources.spot"),
        ({"resources": {"spot": True}}, "ray.resources.spot"),
        ({"runtime_env": {"env_vars": {"HF_TOKEN": "hunter2"}}}, "env_vars.HF_TOKEN` looks like"),
        ({"runtime_env": {"pip": ["x", "ghp_" + "a1B2" * 9]}}, "runtime_env.pip` looks like"),
        ({"runtime_env": {"env_vars": {"N": 1}}}, "no table of strings"),
        ({"max_jobs": 0}, "ray.max_jobs"),
    ],
)
def test_settings_that_ray_or_a_reader_must_not_get_are_refused(
    settings: dict[str, Any], said: str
) -> None:
    """Else a job fails on the cluster, or a password stands in a plan or a message."""
    with pytest.raises(UsageError) as caught:
        _body(_step(), **settings)
    assert said in caught.value.render()
    assert "hunter2" not in caught.value.render()


def test_the_script_of_a_plan_holds_references_and_no_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else all who read a plan can use the cluster."""
    monkeypatch.setenv("LAB", "hunter2hunter2")
    script = _emit(_step(), token="env:LAB", headers={"X-It's": "file:/a b"})["submit.sh"]
    assert "hunter2" not in script
    assert "secret env:LAB" in script
    assert "secret 'file:/a b'" in script
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
