"""apply: an artifact from a function and its keyword arguments."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig
from marin_build.compat.build_context import BuildContext, VersionCodex, build_context
from marin_build.compat.lazy import OUT, ArtifactStep, apply, materialized_config
from marin_build.compat.lazy.apply import UnbindableInputsError
from marin_build.runtime.remote import RemoteCallable, remote

if TYPE_CHECKING:
    from marin_build.compat.artifact import Artifact

DAY = "2026.06.28"


def transform(source: Any, out: str, times: int = 1) -> tuple[Any, str, int]:
    return source, out, times


def _raw(name: str = "raw") -> ArtifactStep[Artifact]:
    return apply(name, transform, version=DAY, source="x", out=OUT)


def test_artifacts_in_containers_become_dependencies_and_paths() -> None:
    one, other = _raw("a"), _raw("b")
    step = apply("c", transform, version=DAY, out=OUT, source={"l": [one, (other, "x")], "k": one})
    assert step.deps == (one, other)
    config = materialized_config(step, "gs://b")
    assert config == {
        "out": f"gs://b/c/{DAY}",
        "source": {"l": [f"gs://b/a/{DAY}", (f"gs://b/b/{DAY}", "x")], "k": f"gs://b/a/{DAY}"},
    }
    assert step.run(config) == (config["source"], config["out"], 1)  # type: ignore[comparison-overlap]
    assert step.fingerprint_payload() == (
        f'{{"out": "<output_path>", "source": {{"k": "a@{DAY}", '
        f'"l": ["a@{DAY}", ["b@{DAY}", "x"]]}}}}'
    )


def test_what_the_function_does_not_take_is_refused_at_once() -> None:
    """Else a misspelt argument is found when all that it needs is built."""
    with pytest.raises(UnbindableInputsError, match=r"`transform`.*tims") as caught:
        apply("c", transform, version=DAY, source="x", out=OUT, tims=2)
    assert isinstance(caught.value, TypeError)


def test_a_remote_function_runs_where_it_says() -> None:
    """Else a plan does not know what the step runs on."""
    step = apply(
        "c", remote(transform, resources=ResourceConfig(cpu=3)), version=DAY, source="x", out=OUT
    )
    assert isinstance(step.run, RemoteCallable)
    assert step.lower().resources == ResourceConfig(cpu=3)


def test_the_run_decides_the_version_that_is_left_out() -> None:
    with build_context(BuildContext(VersionCodex("dev"))):
        step = apply("c", transform, pin="elsewhere", source="x", out=OUT)
    assert (step.version, step.path("gs://b")) == ("dev", "gs://b/elsewhere")


def test_there_is_one_stand_in_for_the_output_path() -> None:
    """Else a function in another process gets the stand-in instead of a path."""
    assert pickle.loads(pickle.dumps(OUT)) is OUT
    assert repr(OUT) == "OUT"
