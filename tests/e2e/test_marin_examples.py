"""The experiments in examples/marin: planned, built, changed, and planned for a TPU."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from .support import Project, cases, copy_examples

if TYPE_CHECKING:
    from pathlib import Path

VERSION = ("--set", "version=2026.11.02")


@pytest.fixture
def example(tmp_path: Path) -> Project:
    """A copy of the example."""
    copy_examples(tmp_path)
    (tmp_path / "home").mkdir()
    return Project(tmp_path / "examples/marin", tmp_path / "home")


@cases(
    "file options count last found",
    ferry=("data_ferry.py", (), 5, "ferry/smoke/tokens", "tokens.jsonl"),
    # Marin's own executor gives the folder this name.
    fan_out=("fan_out.py", (), 543, "model-71587a", "model.json"),
    fan_in=("fan_in.py", VERSION, 44, "summary/2026.11.02", "summary.md"),
)
def test_an_experiment_is_built_unchanged(
    example: Project, file: str, options: tuple[str, ...], count: int, last: str, found: str
) -> None:
    """Else people have to rewrite hundreds of files before they can try it."""
    done = example.run("apply", "-f", file, *options, "-q")
    assert done.code == 0, done.err
    assert f"{count} built, 0 reused" in done.out + done.err
    output = f".marin-build/outputs/{last}"
    assert example.file(f"{output}/{found}")
    assert json.loads(example.file(f"{output}/.executor_info"))["output_path"].endswith(last)
    again = example.run("apply", "-f", file, *options)
    assert f"nothing to do: {count} targets are reused" in again.out


def test_a_changed_value_is_named_by_its_path_in_the_config(example: Project) -> None:
    """Else nobody knows which of a hundred values of a config costs a training."""
    assert example.run("apply", "-f", "fan_in.py", *VERSION, "-q").code == 0
    text = example.file("fan_in.py")
    example.write("fan_in.py", text.replace("smoothing=0.05", "smoothing=0.5"))
    told = example.run("plan", "-f", "fan_in.py", *VERSION).out
    assert "model.smoothing 0.05 -> 0.5" in told
    newer = example.run("plan", "-f", "fan_in.py", "--set", "version=2026.11.03").out
    assert "5 to build" in newer
    assert "39 reused" in newer


def test_a_training_is_planned_for_a_tpu(example: Project) -> None:
    """Else an experiment runs on a laptop, and nowhere it was written for."""
    example.write(
        "marin-build.toml",
        example.file("marin-build.toml") + '[kubernetes]\nimage = "registry.example/lm@sha256:'
        f'{"0" * 64}"\nworking_dir = "/app"\n',
    )
    example.environment["TRAIN_ON"] = "v5p-16"
    planned = example.run(
        *("plan", "-f", "fan_in.py", *VERSION, "--engine", "kubernetes"),
        *("--prefix", "memory://bucket/x", "-o", "jobs"),
    )
    assert planned.code == 0, planned.err
    (spec,) = (example.root / "jobs/steps").glob("model*/job.yaml")
    manifest = yaml.safe_load(spec.read_text())
    assert manifest["kind"] == "JobSet"
    (job,) = manifest["spec"]["replicatedJobs"]
    assert job["template"]["spec"]["completions"] == 2
    pod = job["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "2x2x2"
    assert pod["containers"][0]["resources"]["limits"]["google.com/tpu"] == "4"
    kinds = [yaml.safe_load(path.read_text())["kind"] for path in spec.parents[1].rglob("job.yaml")]
    assert sorted(kinds) == ["Job"] * 43 + ["JobSet"]
