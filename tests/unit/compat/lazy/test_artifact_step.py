"""ArtifactStep: name, version, path and fingerprint."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.compat.artifact import Artifact
from marin_build.compat.lazy import (
    ArtifactStep,
    StepContext,
    adopt,
    artifact_identity,
    materialized_config,
)
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = "2026.06.28"


def _config(context: StepContext) -> dict[str, Any]:
    return {"out": context.output_path, "chips": context.runtime_arg("chips"), "lr": 0.1}


def _nothing(_config: Any) -> None:
    return None


def _step(build: Callable[[StepContext], Any] = _config, **fields: Any) -> ArtifactStep[Artifact]:
    given: dict[str, Any] = {"runtime_args": {"chips": "v5p-8"}, **fields}
    return ArtifactStep("checkpoints/m", DAY, Artifact, _nothing, build, **given)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "gs://b/checkpoints/m/2026.06.28"),
        ({"override_path": "pinned/m"}, "gs://b/pinned/m"),
        ({"override_path": "/data/m"}, "/data/m"),
        ({"override_path": "s3://other/m"}, "s3://other/m"),
        ({"adopt_source": "old/m"}, "gs://b/old/m"),
        ({"adopt_source": "gs://old/m"}, "gs://old/m"),
    ],
)
def test_the_path_is_name_and_version_unless_another_is_chosen(
    fields: dict[str, Any], path: str
) -> None:
    """Else it is looked for where Marin did not put it."""
    step = _step(**fields)
    assert step.path("gs://b/") == step.path("gs://b") == path
    with in_workspace(Workspace("/project", "gs://b")):
        assert step.path() == path


def test_where_and_on_what_it_runs_is_no_identity() -> None:
    step = _step()
    assert step.fingerprint_payload() == '{"chips": "<chips>", "lr": 0.1, "out": "<output_path>"}'
    other = _step(runtime_args={"chips": "v6e-8"}, override_path="elsewhere")
    assert other.fingerprint() == step.fingerprint()
    assert artifact_identity(step) == f"checkpoints/m@{DAY}:{step.fingerprint()}"
    assert materialized_config(other, "gs://b")["chips"] == "v6e-8"
    assert materialized_config(step, "gs://b/")["out"] == "gs://b/checkpoints/m/2026.06.28"


def test_steps_are_keys_by_what_they_are_not_by_what_they_hold() -> None:
    """Else a mixture of equal components loses one, and one that holds a list has no hash."""
    one, other = _step(), _step()
    assert one != other
    assert {one: 1, other: 2}[one] == 1


def test_a_copy_is_lowered_anew() -> None:
    """Else a pinned copy has the step of the artifact that was not pinned."""
    step = _step()
    lowered = step.lower()
    pinned = dataclasses.replace(step, expected_fingerprint=step.fingerprint())
    assert pinned.lower() is not lowered
    assert "expected_fingerprint" in pinned.lower().hash_attrs
    assert copy.copy(step).lower() is not lowered
    assert pickle.loads(pickle.dumps(step)).fingerprint() == step.fingerprint()


def test_data_that_is_there_is_fingerprinted_by_its_place() -> None:
    step = ArtifactStep.adopt("d", DAY, "gs://old/d", config={"tokenizer": "x"})
    same = adopt("d", DAY, "gs://old/d", config={"tokenizer": "x"})
    assert step.fingerprint_payload() == (
        '{"adopt_source": "gs://old/d", "config": {"tokenizer": "x"}}'
    )
    assert (same.fingerprint(), step.artifact_type) == (step.fingerprint(), Artifact)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"adopt_source": "a", "override_path": "b"}, "both"),
        ({"name": "a/../b"}, "name"),
        ({"version": "v1"}, "version"),
    ],
)
def test_what_contradicts_itself_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        dataclasses.replace(_step(), **fields)


def test_it_says_where_its_author_declared_it() -> None:
    """Else an error names a line of marin-build."""
    made = [_step(), adopt("d", DAY, "x"), dataclasses.replace(_step(), version="dev")]
    assert {step.place[0] for step in made} == {__file__}
