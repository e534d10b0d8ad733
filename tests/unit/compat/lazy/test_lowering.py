"""The step of an artifact is the one that Marin makes of it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.compat import aliases
from marin_build.compat.artifact import Artifact
from marin_build.compat.lazy import ArtifactStep, lower
from marin_build.errors import FingerprintMismatchError, SpecificationError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.runtime.remote import remote
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[3] / "data" / "marin_artifacts"
STEPS: dict[str, Any] = json.loads((DATA / "steps.json").read_text())
DAY = "2026.06.28"


@pytest.fixture(scope="module")
def experiment() -> Iterator[Any]:
    """The experiment that Marin ran, under the name that it had there."""
    aliases.install("artifact")
    before = sys.modules["__main__"]
    spec = importlib.util.spec_from_file_location("__main__", DATA / "experiment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["__main__"] = module
    code = (DATA / "experiment.py").read_text().replace('if __name__ == "__main__":', "if False:")
    exec(compile(code, str(DATA / "experiment.py"), "exec"), module.__dict__)
    yield module
    sys.modules["__main__"] = before
    aliases.uninstall()


def _handle(experiment: Any, key: str) -> ArtifactStep[Any]:
    tokens = experiment.tokens
    made = {
        "pinned": dataclasses.replace(tokens, expected_fingerprint=tokens.fingerprint()),
        "at_path": dataclasses.replace(tokens, override_path="pinned/tokens"),
    }
    handle: ArtifactStep[Any] = made.get(key) or getattr(experiment, key)
    return handle


@pytest.mark.parametrize("key", [key for key in STEPS if key != "evals"])
def test_a_step_is_the_one_that_marin_makes(experiment: Any, key: str) -> None:
    """Else it has another path, or what was built counts as another recipe."""
    expected, step = STEPS[key], lower(_handle(experiment, key))
    for name in ("name", "override_output_path", "fingerprint_payload", "writes_record"):
        assert getattr(step, name) == expected[name]
    assert step.hash_attrs == expected["hash_attrs"]
    assert step.name_with_hash == expected["name_with_hash"]
    with in_workspace(Workspace("/project", "gs://b/x")):
        assert step.output_path == expected["output_path"].replace("PREFIX", "gs://b/x")


def test_what_needs_an_artifact_lies_where_marin_puts_it(experiment: Any) -> None:
    """Else evaluations of a trained model are run again."""
    step = StepSpec("evals/tiny", deps=[lower(experiment.model)], hash_attrs={"tasks": ["a"]})
    assert step.name_with_hash == STEPS["evals"]["name_with_hash"]


def _step(name: str = "m", version: str = DAY, **fields: Any) -> ArtifactStep[Artifact]:
    given: dict[str, Any] = {"run": lambda _: None, "build_config": lambda _: {"lr": 1}, **fields}
    return ArtifactStep(name, version, Artifact, **given)


def test_an_artifact_is_known_by_name_and_version() -> None:
    """Else a plan names it by digits that its author never saw."""
    step = lower(_step())
    assert (step.target_id, step.version) == (f"m@{DAY}", DAY)
    assert json.loads(step.payload) == {"name": "m", "attrs": {"lr": 1}, "deps": []}
    assert step.declared[0] == __file__


def test_one_artifact_has_one_step_also_at_the_end_of_a_long_chain() -> None:
    end = _step()
    for i in range(2000):
        end = _step(f"s{i}", deps=(end,))
    assert lower(end) is lower(end) is end.lowered_step
    assert len(lower(end).hash_id) == 8
    assert lower(end).deps[0] is lower(end.deps[0])


def test_a_recipe_is_read_once_however_many_need_the_artifact() -> None:
    """Else a diamond of a hundred layers is never planned."""
    asked: list[int] = []

    def config(_context: Any) -> None:
        asked.append(1)

    end = _step(build_config=config)
    for i in range(40):
        end = _step(f"s{i}", deps=(end, end))
    lower(end)
    assert asked == [1]


def test_an_artifact_that_is_declared_twice_is_one_target() -> None:
    """Else a data set that two experiments name, each by a call of its builder, is refused."""

    def data(steps: int = 1) -> StepSpec:
        raw, settings = _step("raw"), object()

        def make(_config: Any) -> None:
            print(raw, settings)

        return lower(_step("data", run=make, build_config=lambda _: steps, deps=(raw,)))

    targets = make_targets(build_graph([data(), data()]), Workspace("/project", "gs://b"))
    assert [target.id for target in targets.all] == [f"raw@{DAY}", f"data@{DAY}"]
    with pytest.raises(SpecificationError, match="two different steps both want"):
        make_targets(build_graph([data(), data(2)]), Workspace("/project", "gs://b"))


def test_resources_of_a_remote_function_are_those_of_the_step() -> None:
    step = lower(_step(run=remote(lambda _: None, resources=ResourceConfig(cpu=3))))
    assert step.resources == ResourceConfig(cpu=3)


def test_another_pinned_fingerprint_is_refused() -> None:
    """Else a recipe that changed by mistake is built as what was published."""
    lower(_step(expected_fingerprint=_step().fingerprint()))
    with pytest.raises(FingerprintMismatchError, match="deadbeef is pinned"):
        lower(_step(expected_fingerprint="deadbeef"))


@pytest.mark.parametrize("version", ["dev", "ada-dev"])
def test_a_fixed_version_needs_no_mutable_one(version: str) -> None:
    """Else what is published was made from something that changes with each run."""
    with pytest.raises(ValueError, match=f"needs the mutable `m@{version}`"):
        lower(_step("top", deps=(_step(version=version),)))
    lower(_step("top", "dev", deps=(_step(version=version),)))


def test_a_config_that_is_no_object_is_a_recipe_too() -> None:
    for config in ([1, 2], None, "text", float("nan")):
        step = lower(_step(build_config=lambda _, config=config: config))
        assert len(step.fingerprint) == 64
    assert json.loads(step.payload)["attrs"] == {"config": "NaN"}


def test_a_function_may_read_names_that_the_attributes_have_too() -> None:
    """Else an experiment with a variable `version` is refused for a contradiction."""
    version = "another"
    lower(_step(run=lambda _: print(version)))
