"""`remote`: what is paid for by the hour runs where its author said, or says that it did not."""

from __future__ import annotations

import inspect
import re
from dataclasses import FrozenInstanceError, replace
from typing import TYPE_CHECKING

import pytest

from marin_build import (
    JobEnvironment,
    RemoteCallable,
    ResourceConfig,
    StepRunner,
    StepSpec,
    remote,
    set_current_client,
    step,
)
from marin_build.errors import SpecificationError
from marin_build.identity.canonical import FrozenDict
from marin_build.identity.code.digest import code_digest
from marin_build.identity.code.same_code import same_code
from marin_build.runtime.remote import job_name
from marin_build.workspace.workspace import Workspace
from tests.recording_client import Recorder
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TPU = ResourceConfig.with_tpu("v5p-64")


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


def _add(x: int, *, y: int = 0) -> int:
    """Add."""
    return x + y


def _nothing(output_path: str) -> None: ...


def test_bare_means_a_cpu() -> None:
    bare, empty, function = remote(_add), remote()(_add), remote(_add, resources=None)
    assert bare == empty == function
    assert bare.resources == ResourceConfig.with_cpu()
    assert isinstance(bare, RemoteCallable)


def test_a_call_goes_to_the_current_client_and_returns_nothing() -> None:
    recorder, got = Recorder(), []

    @remote(
        resources=TPU, env_vars={"A": "1"}, pip_dependency_groups=["tpu"], pip_packages=["x"],
        name="Train the model",
    )  # fmt: skip
    def train(x: int, *, y: int = 0) -> int:
        got.append((x, y))
        return x

    with set_current_client(recorder):
        train(1, y=2)
    (request,) = recorder.requests
    assert got == [(1, 2)]
    assert (request.name, request.resources) == ("train-the-model", TPU)
    assert request.environment == JobEnvironment(FrozenDict({"A": "1"}), ("tpu",), ("x",))
    assert (request.env_vars, request.pip_dependency_groups) == ({"A": "1"}, ("tpu",))


def test_a_name_is_given_once() -> None:
    called = remote(_add)
    assert called.name is None
    assert called.named("first").named("second").name == "first"


@pytest.mark.parametrize(
    ("name", "is_called"),
    [("Tokenize/FineWeb @v1", "tokenize-fineweb-v1"), ("a_b.c", "a_b.c"), ("...", "remote_job")],
)
def test_names_of_jobs_have_only_what_engines_take(name: str, is_called: str) -> None:
    assert job_name(name) == is_called


def test_a_step_gives_its_job_its_own_name_with_its_hash() -> None:
    """Else two steps of one function have jobs of one name."""
    recorder = Recorder()
    steps = [
        StepSpec(name="words/Count", fn=remote(_nothing, name="same"), hash_attrs={"q": q})
        for q in (1, 2)
    ]
    with set_current_client(recorder):
        StepRunner().run(steps)
    plain = {f"words-count_{step.hash_id}" for step in steps}
    assert {request.name[:-9] for request in recorder.requests} == plain


def test_a_job_without_a_name_gets_one_that_no_other_job_has() -> None:
    recorder = Recorder()
    with set_current_client(recorder):
        remote(_add)(1)
        remote(_add)(1)
    first, second = (request.name for request in recorder.requests)
    assert re.fullmatch(r"_add-[0-9a-f]{8}", first)
    assert first != second


def test_a_failure_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        remote(lambda: 1 / 0)()


def test_it_is_a_frozen_value_that_looks_like_its_function() -> None:
    called = remote(_add, env_vars={"A": "1"})
    with pytest.raises(FrozenInstanceError):
        called.name = "x"  # type: ignore[misc]
    assert replace(called, name="x").fn is _add
    assert hash(called) == hash(remote(_add, env_vars={"A": "1"}))
    assert inspect.signature(called) == inspect.signature(_add)


def test_where_it_runs_is_no_part_of_what_it_does() -> None:
    """Else a change of machine would show as changed code."""
    assert (
        code_digest(remote(_add)) == code_digest(remote(_add, resources=TPU)) == code_digest(_add)
    )
    assert same_code(remote(_add), _add)


def test_a_step_takes_its_resources_from_its_function_unless_it_has_its_own() -> None:
    def build(output_path: str) -> None: ...

    assert StepSpec(name="a", fn=remote(build, resources=TPU)).resources == TPU
    cpu = ResourceConfig.with_cpu(8)
    assert StepSpec(name="a", fn=remote(build, resources=TPU), resources=cpu).resources == cpu
    assert StepSpec(name="a", fn=build).resources is None


def test_step_says_where_resources_go_instead() -> None:
    with pytest.raises(SpecificationError, match="cannot wrap a `remote` function") as caught:
        step(remote(_add))
    assert "@step(resources=...)" in str(caught.value.hint)
