"""Artifacts of Marin's newest era: an experiment unchanged, and a bucket that Marin filled."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .support import OUTPUTS

if TYPE_CHECKING:
    from .support import Project

DATA = Path(__file__).parents[1] / "data" / "marin_artifacts"
SETTINGS = 'marin_aliases = true\nmarin_era = "artifact"\n'
FILE = ("-f", "experiment.py")
MODEL = "checkpoints/tiny/2026.10.02"


@pytest.fixture
def experiment(project: Project) -> Project:
    """The experiment, as its author wrote it, and the data that it adopts."""
    project.write("marin-build.toml", SETTINGS)
    project.write("experiment.py", (DATA / "experiment.py").read_bytes())
    (project.root / OUTPUTS / "elsewhere/words").mkdir(parents=True)
    return project


@pytest.fixture
def filled(experiment: Project) -> Project:
    """The same, in a bucket that Marin filled."""
    shutil.copytree(DATA / "bucket", experiment.root / OUTPUTS, dirs_exist_ok=True)
    return experiment


def _record(project: Project, output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.file(f"{OUTPUTS}/{output}/.artifact.json"))
    return found


def test_what_marin_built_is_reused_and_its_records_are_shown(filled: Project) -> None:
    """Else the first run of marin-build trains every model again."""
    planned = filled.run("plan", *FILE, "-v")
    assert "0 to build, 4 reused" in planned.out
    assert "drift" not in planned.out
    shown = r"checkpoints/tiny@2026\.10\.02 +built 2026-11-30 08:46 UTC by ada with Marin"
    assert re.search(shown, planned.out)
    explained = filled.run("explain", *FILE, "checkpoints/tiny")
    assert "recipe    bfa217af" in explained.out
    assert "by ada with Marin" in explained.out
    assert filled.run("apply", *FILE).out.startswith("nothing to do: 4 targets are reused")


def test_a_changed_recipe_is_drift_and_names_the_value(filled: Project) -> None:
    """Else a version that many people use is another one after a change of a default."""
    changed = {"LR": "0.1"}
    planned = filled.run("plan", *FILE, env=changed)
    drift = "its identity changed under version 2026.10.02: attrs.optimizer.lr 0.003 -> 0.1"
    assert f"reused, though {drift}" in planned.out
    assert "0 to build, 4 reused" in planned.out
    applied = filled.run("apply", *FILE, env=changed)
    assert drift in applied.out + applied.err
    assert _record(filled, MODEL)["result"] == {"loss": 0.003}


def test_a_new_version_tells_what_changed_since_marins_last_one(filled: Project) -> None:
    """Else a person compares two records by eye before a week of training."""
    unchanged = filled.run("plan", *FILE, env={"VERSION": "2026.10.03"})
    assert "checkpoints/tiny@2026.10.03  version 2026.10.02 -> 2026.10.03 (" in unchanged.out
    changed = {"LR": "0.1", "VERSION": "2026.10.03"}
    planned = filled.run("plan", *FILE, "--json", env=changed)
    (model,) = [d for d in planned.document["decisions"] if d["decision"] == "run"]
    assert model["target"] == "checkpoints/tiny@2026.10.03"
    (reason,) = model["reasons"]
    assert [change["path"] for change in reason["changes"]] == ["version", "attrs.optimizer.lr"]
    assert filled.run("apply", *FILE, env=changed).code == 0
    assert _record(filled, "checkpoints/tiny/2026.10.03")["result"] == {"loss": 0.1}


def test_a_pinned_recipe_is_refused_before_anything_runs(filled: Project) -> None:
    """Else what was published under a fingerprint is something else."""
    filled.pipeline(
        "import dataclasses\n"
        "from experiment import model\n"
        "targets = [dataclasses.replace(model, expected_fingerprint=model.fingerprint())]\n"
    )
    assert filled.run("plan").code == 0
    refused = filled.run("plan", env={"LR": "0.1"})
    assert refused.code == 5
    assert "pins its fingerprint, and another one was built there" in refused.err


def test_records_are_those_that_marin_writes(experiment: Project) -> None:
    """Else Marin builds again what was built here, or cannot load it."""
    assert experiment.run("apply", *FILE).code == 0
    here = str(experiment.root / OUTPUTS)
    for path in sorted((DATA / "bucket").rglob(".artifact.json")):
        output = str(path.parent.relative_to(DATA / "bucket"))
        theirs, ours = json.loads(path.read_text()), _record(experiment, output)
        assert list(ours) == list(theirs)
        assert list(ours["provenance"]) == list(theirs["provenance"])
        del theirs["provenance"], ours["provenance"]
        assert json.loads(json.dumps(ours).replace(here, "/data/marin")) == theirs
    assert "0 to build, 4 reused" in experiment.run("plan", *FILE).out


def test_a_dev_version_is_built_each_time(experiment: Project) -> None:
    """Else who works on a step sees the output of yesterday."""
    dev = {"VERSION": "ada-dev"}
    assert "4 built, 0 reused" in experiment.run("apply", *FILE, env=dev).out
    again = experiment.run("apply", *FILE, env=dev | {"LR": "0.5"})
    assert "1 built, 3 reused" in again.out
    assert _record(experiment, "checkpoints/tiny/ada-dev")["result"] == {"loss": 0.5}


def test_a_damaged_record_of_marin_is_no_built_target(filled: Project) -> None:
    """Else a plan counts on an output of which nothing is known."""
    (filled.root / OUTPUTS / MODEL / ".artifact.json").write_text('{"fingerprint": 3}')
    planned = filled.run("plan", *FILE)
    assert "blocked" in planned.out
    assert ".artifact.json" in planned.out
