"""Steps that Marin itself made of artifacts."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from marin_build import ResourceConfig, StepSpec, step
from marin_build.compat.foreign_steps import step_of_object
from marin_build.compat.fray.resources import ResourceConfig as FrayResources
from marin_build.compat.lazy import ArtifactStep, apply
from marin_build.identity.callables import StandsForFunction
from marin_build.runtime.remote import RemoteCallable

DAY = "2026.06.28"


def train(config: Any) -> None:
    del config


@dataclass
class _TheirStep:
    """A StepSpec of Marin, by its names."""

    fn: Any
    name: str = "m"
    output_path_prefix: str | None = None
    override_output_path: str = f"m/{DAY}"
    output_path: str = f"/project/outputs/m/{DAY}"
    name_with_hash: str = "m_1a2b3c4d"
    hash_attrs: dict[str, Any] = field(
        default_factory=lambda: {"fingerprint": "5a1f4b14", "version": DAY, "deps": []}
    )
    deps: list[Any] = field(default_factory=list)
    fingerprint_payload: str | None = '{"lr": 0.1}'
    writes_record: bool = True


_TheirStep.__module__ = "marin.execution.step_spec"


@dataclass
class _TheirResources:
    """A ResourceConfig of fray, by its names."""

    device: Any


_TheirResources.__module__ = "fray.types"


def _lowered_by_marin(handle: ArtifactStep[Any]) -> Any:
    """Return a function as Marin makes it of an artifact: the handle is one of its defaults."""

    def fn(output_path: str, _handle: ArtifactStep[Any] = handle) -> Any:
        return _handle.run(output_path)

    fn.__module__ = "marin.execution.lazy"
    return fn


def _handle(run: Any) -> ArtifactStep[Any]:
    artifact: Any = apply("m", train, version=DAY, config={})
    return ArtifactStep("m", DAY, artifact.artifact_type, run, lambda _: None)


def _step(theirs: Any) -> StepSpec:
    found = step_of_object(theirs)
    assert found is not None
    return found


def test_an_artifact_of_marin_is_known_by_its_version_and_its_recipe() -> None:
    """Else drift, dev versions and pins hold for our artifacts only."""
    step = _step(_TheirStep(_lowered_by_marin(_handle(train))))
    assert (step.target_id, step.has_recipe, step.writes_record) == (f"m@{DAY}", True, True)
    assert step.output_path == f"/project/outputs/m/{DAY}"


def test_its_code_and_its_place_are_the_authors() -> None:
    """Else each plan names a line of Marin, and every release of Marin is a change of code."""

    def keyword_call(config: Any, _fn: Any = train) -> Any:
        return _fn(config)

    keyword_call.__module__ = "marin.execution.lazy"
    for run in (train, keyword_call):
        step = _step(_TheirStep(_lowered_by_marin(_handle(run))))
        assert isinstance(step.fn, StandsForFunction)
        assert step.fn.code_function is train
        assert step.declared == (__file__, train.__code__.co_firstlineno)


@dataclass
class _TheirRemote:
    """A RemoteCallable of Marin, by its names; that of the ExecutorStep era has no packages."""

    fn: Any
    resources: Any = field(default_factory=FrayResources)
    env_vars: dict[str, str] = field(default_factory=dict)
    pip_dependency_groups: list[str] = field(default_factory=lambda: ["tpu"])
    name: str | None = "tokenize"


@dataclass
class _WithPackages(_TheirRemote):
    pip_packages: list[str] = field(default_factory=lambda: ["levanter"])


@pytest.mark.parametrize(
    ("theirs", "packages"), [(_TheirRemote(train), ()), (_WithPackages(train), ("levanter",))]
)
def test_a_function_that_runs_remotely_keeps_its_name_and_its_packages(
    theirs: _TheirRemote, packages: tuple[str, ...]
) -> None:
    """Else its job installs packages that are called like the letters of its name."""
    fn = _step(_TheirStep(theirs)).fn
    assert isinstance(fn, RemoteCallable)
    assert (fn.name, tuple(fn.pip_dependency_groups)) == ("tokenize", ("tpu",))
    assert tuple(fn.pip_packages) == packages


def test_a_step_that_is_no_artifact_has_no_version() -> None:
    theirs = _TheirStep(train, fingerprint_payload=None, hash_attrs={"version": "v1"})
    assert _step(theirs).version is None


def test_a_step_of_marin_is_an_argument_of_a_step_function() -> None:
    """Else an experiment can only be moved as a whole."""

    @step(resources=None)
    def use(output: str, given: str, many: list[str]) -> None:
        del output, given, many

    theirs: Any = _TheirStep(_lowered_by_marin(_handle(train)))
    made = use(given=theirs, many=[theirs])
    assert [dep.target_id for dep in made.deps] == [f"m@{DAY}"] * 2
    assert not made.hash_attrs
    assert [dep.target_id for dep in StepSpec("all", deps=[theirs]).deps] == [f"m@{DAY}"]


def test_what_fray_says_a_step_runs_on_is_taken() -> None:
    device = SimpleNamespace(kind="tpu", variant="v5p-8", topology=None)
    given: Any = _TheirResources(device=device)
    resources = StepSpec("one", resources=given).resources
    assert resources is not None
    assert resources.device == ResourceConfig.with_tpu("v5p-8").device
