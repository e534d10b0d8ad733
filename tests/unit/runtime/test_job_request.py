"""What a client is asked to run: a value that says itself whether it can be run."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import JobEnvironment, JobRequest, LocalClient, ResourceConfig
from marin_build.errors import SpecificationError
from marin_build.pipeline.stands_for import StandsForResources
from marin_build.runtime.job_request import StandsForWork

if TYPE_CHECKING:
    from marin_build.runtime.job_request import Work


def _nothing() -> None: ...


def test_a_request_is_a_value() -> None:
    request = JobRequest("job", ("true",), env_vars={"A": "1"}, pip_dependency_groups=["gpu"])
    assert request == JobRequest(
        "job", ("true",), ResourceConfig(), env_vars={"A": "1"}, pip_dependency_groups=("gpu",)
    )
    with pytest.raises(FrozenInstanceError):
        request.name = "other"  # type: ignore[misc]


def test_an_environment_adds_to_the_variables_and_groups_that_clients_read() -> None:
    """Else a client that knows only one of the two spellings starts a job without its variables."""
    environment = JobEnvironment({"A": "1", "B": "1"}, ["tpu"], ["numpy"])
    request = JobRequest(
        "job", _nothing, ResourceConfig(), environment, env_vars={"B": "2"},
        pip_dependency_groups=["eval", "tpu"],
    )  # fmt: skip
    assert request.environment is environment
    assert request.env_vars == {"A": "1", "B": "2"}
    assert request.pip_dependency_groups == ["tpu", "eval"] == request.pip_dependency_groups
    assert (environment.extras, environment.pip_packages) == (["tpu"], ["numpy"])


@pytest.mark.parametrize("entrypoint", [(), "echo hello", 3, ("a", 1)])
def test_what_cannot_be_run_is_refused(entrypoint: Any) -> None:
    with pytest.raises(ValueError, match="neither a function nor a command"):
        JobRequest("job", entrypoint)


@pytest.mark.parametrize(
    ("name", "says"), [("", "needs a name"), ("train it", "`train it` has spaces")]
)
def test_names_that_engines_do_not_take_are_refused(name: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        JobRequest(name, _nothing)


def test_words_may_be_paths() -> None:
    request = JobRequest("job", ["cat", Path("/a/b")])
    assert request.entrypoint == request.work == ("cat", "/a/b")


class _Words(StandsForWork):
    @property
    def lowered_work(self) -> Work:
        return ("true",)


class _FourCores(StandsForResources):
    @property
    def lowered_resources(self) -> ResourceConfig:
        return ResourceConfig.with_cpu(4)


def test_other_dialects_may_stand_for_the_work_and_its_resources() -> None:
    """Else a request of Marin's must be rewritten before a client of ours runs it."""
    resources = _FourCores()
    request = JobRequest("job", _Words(), resources, replicas=2)
    assert request.resources is resources
    assert request.needs == ResourceConfig.with_cpu(4, replicas=2)
    assert request.work == ("true",)
    assert LocalClient().submit(request).wait() == "succeeded"


def test_the_tasks_of_a_tpu_follow_from_its_slices() -> None:
    resources = ResourceConfig.with_tpu("v5p-64")
    assert JobRequest("job", _nothing, resources, replicas=8).needs == resources


class _Minute:
    def to_seconds(self) -> float:
        return 60.0


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, None), (90, 90), (timedelta(minutes=2), 120), (_Minute(), 60)]
)
def test_a_timeout_is_seconds_or_a_duration(timeout: Any, seconds: float | None) -> None:
    assert JobRequest("job", _nothing, timeout=timeout).longest_seconds == seconds


def test_a_timeout_that_is_no_duration_is_refused() -> None:
    with pytest.raises(SpecificationError, match="is a str, not a duration"):
        _ = JobRequest("job", _nothing, timeout="1h").longest_seconds
