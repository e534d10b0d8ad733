"""An ExecutorStep as the StepSpec that it stands for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, remote
from marin_build import step as declare
from marin_build.compat.executor import (
    THIS_OUTPUT_PATH,
    ExecutorStep,
    InputName,
    mirrored,
    resolve_executor_step,
    versioned,
)
from marin_build.compat.executor.lifting import as_executor_step
from marin_build.compat.executor.lowering import Lowering, RemoteConfigCall
from marin_build.compat.executor.version import Versions
from marin_build.compat.fray.resources import ResourceConfig as FrayResources
from marin_build.compat.step_spec import StepSpec
from marin_build.plan.difference_text import describe_difference
from marin_build.plan.payload_diff import differences, without_echoes
from marin_build.runtime.remote import RemoteCallable
from marin_build.workspace.workspace import Workspace, use_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CPU, BIG = ResourceConfig.with_cpu(cpu=1), ResourceConfig.with_cpu(cpu=8)
seen: list[Any] = []


@pytest.fixture(autouse=True)
def prefix(tmp_path: Path) -> Iterator[str]:
    seen.clear()
    place = str(tmp_path / "out")
    before = use_workspace(Workspace(str(tmp_path), place))
    yield place
    use_workspace(before)


@dataclass(frozen=True)
class Model:
    seq_len: Any
    width: int = 8


@dataclass(frozen=True)
class Config:
    data: Any = None
    output_path: Any = THIS_OUTPUT_PATH
    model: Any = None


def note(config: Any) -> None:
    seen.append(config)


def step(name: str = "train", config: Any = None, fn: Any = note, **kinds: Any) -> Any:
    return ExecutorStep(name, fn, config, **kinds)


def said(before: Any, now: Any) -> list[str]:
    """Return how a plan says what changed."""
    old, new = (json.loads(one.lowered_step.payload) for one in (before, now))
    return [describe_difference(each) for each in without_echoes(differences(old, new))]


def test_a_changed_leaf_of_the_config_is_named() -> None:
    """`model.seq_len 4096 -> 8192` is what the person who changed it knows."""
    small, large = (step(config=Config(model=Model(versioned(n)))) for n in (4096, 8192))
    assert said(small, large) == ["attrs.model.seq_len 4096 -> 8192"]
    a, b = (step(config={"xs": [versioned(n), {"y": versioned(1)}]}) for n in (1, 2))
    assert said(a, b) == ["attrs.xs.[0] 1 -> 2"]


def test_a_changed_dependency_is_named_once_with_what_it_was() -> None:
    """The place where the config has it changes with it, and says nothing new."""
    olds, news = (step("tok", versioned(n)) for n in (1, 2))
    a, b = (step(config=Config(data=dep / "x")) for dep in (olds, news))
    assert said(a, b) == ["needs tok, which changed"]
    c = step(config=Config(data=olds / "y"))
    assert said(a, c) == ['attrs.data "DEP[0]/x" -> "DEP[0]/y"']
    p, q = (step(config=Config(data=(dep / "x").nonblocking())) for dep in (olds, news))
    assert said(p, q) == [
        f'bind.data.nonblocking "{olds.lowered_step.target_id}" -> "{news.lowered_step.target_id}"'
    ]


def test_one_step_is_always_lowered_to_one_step() -> None:
    """Else the graph would hold it twice."""
    data = step("tok")
    one, other = step("a", data / "x"), step("b", [data, step("tok")])
    (dep,) = one.lowered_step.deps
    assert dep is data.lowered_step
    assert other.lowered_step.deps == (dep,)
    assert one.lowered_step is one.lowered_step


def test_a_place_of_outputs_may_stand_in_what_marin_hashes(prefix: str) -> None:
    """Experiments hardcode paths in their bucket."""
    spec = step(config=versioned(f"{prefix}/raw")).lowered_step
    assert spec.may_name_places
    assert spec.hash_attrs == {"": f"{prefix}/raw"}


def test_values_without_json_are_hashed_in_marins_form() -> None:
    """An infinite clip norm is no reason to refuse an experiment that Marin runs."""
    found = step(config={"a": versioned(float("inf")), "b": versioned((1, {2: 3}))}).lowered_step
    assert '{"a": Infinity, "b": [1, {"2": 3}]}' in found.payload


def test_the_function_gets_its_config_with_paths(prefix: str) -> None:
    """A config is all that a function of Marin knows."""
    data = step("tok")
    config = Config([data / "x", InputName.hardcoded("raw"), mirrored("d")], model=versioned(1))
    spec = step(config=config, override_output_path="models/big/").lowered_step
    assert spec.output_path == f"{prefix}/models/big"
    assert spec.fn is not None
    spec.fn(spec.output_path)
    paths = [f"{data.lowered_step.output_path}/x", f"{prefix}/raw", "mirror://d"]
    assert seen == [Config(paths, f"{prefix}/models/big/", 1)]


def test_an_override_that_is_the_computed_path_is_none(prefix: str) -> None:
    """Another identity cannot lie there, so nothing is compared with it."""
    for place in ("train-e7d1f3", f"{prefix}/train-e7d1f3", "mine"):
        lowered = Lowering(known := Versions(prefix))
        known.add(made := step(override_output_path=place))
        is_elsewhere = place == "mine"
        assert lowered.lower(made).has_free_path == is_elsewhere
        assert lowered.lower(made).target_id == "train-e7d1f3"


@pytest.mark.parametrize(
    ("fn", "resources", "wanted"),
    [
        (note, None, None),
        (note, BIG, BIG),
        (remote(note, resources=CPU), None, CPU),
        (remote(note, resources=CPU), BIG, BIG),
    ],
)
def test_resources_of_the_step_go_before_those_of_remote(
    fn: Any, resources: Any, wanted: Any
) -> None:
    """A training step would run on the machine that plans it."""
    made = step(fn=fn, resources=resources, env_vars={"A": "1"}, pip_dependency_groups=["tpu"])
    spec = made.lowered_step
    assert spec.resources == wanted
    assert spec.env_vars == {"A": "1"}
    assert isinstance(spec.fn, RemoteConfigCall) == (wanted is not None)
    if isinstance(spec.fn, RemoteConfigCall):
        assert tuple(spec.fn.pip_dependency_groups) == ("tpu",)
    assert spec.fingerprint == step().lowered_step.fingerprint
    resolved = resolve_executor_step(made, Config("in", "/o"), "/o")
    assert (resolved.output_path, resolved.deps) == ("/o", [])
    assert resolved.resources == wanted
    assert isinstance(resolved.fn, RemoteCallable) == (wanted is not None)
    inner = resolved.fn.fn if isinstance(resolved.fn, RemoteCallable) else resolved.fn
    assert inner is not None
    inner("/ignored")
    assert seen == [Config("in", "/o")]


def test_a_job_on_a_tpu_gets_the_dependencies_of_tpus() -> None:
    """Else training starts without the libraries of its device."""
    made = step(resources=FrayResources.with_tpu("v5p-8")).lowered_step
    assert isinstance(made.fn, RemoteConfigCall)
    assert made.fn.pip_dependency_groups == ("tpu",)
    assert made.resources is not None
    assert made.resources.cpu == 32


def test_a_step_without_a_function_cannot_be_resolved() -> None:
    """It could never be built."""
    with pytest.raises(ValueError, match="no function"):
        resolve_executor_step(step(fn=None), None, "/o")


def test_a_step_spec_among_executor_steps_stays_what_it_is() -> None:
    """A pipeline that moves on one step at a time keeps its outputs."""
    raw = StepSpec("raw", fn=lambda _: None, hash_attrs={"q": 1})
    tok = StepSpec("tok", fn=lambda _: None, deps=[raw])
    lifted = tok.as_executor_step()
    train = step(config=Config(data=lifted / "x"))
    (dep,) = train.lowered_step.deps
    assert dep is tok
    assert lifted.override_output_path == tok.output_path
    resolved = resolve_executor_step(lifted, None, "/elsewhere", deps=[tok])
    assert resolved.output_path == tok.output_path
    assert resolved.hash_attrs == tok.hash_attrs


def test_a_pipeline_moves_on_one_step_at_a_time() -> None:
    """A new step reads what an old one makes, and the reverse."""

    @declare
    def score(output: str, model: str, others: list[str]) -> None:
        """Score models."""

    old = step(config=versioned(1))
    new = score(model=old, others=[old, step("other")])
    assert [dep.target_id for dep in new.deps] == [
        old.lowered_step.target_id,
        old.lowered_step.target_id,
        step("other").lowered_step.target_id,
    ]
    assert StepSpec("plain", deps=[old]).deps == [old.lowered_step]
    (dep,) = step("report", as_executor_step(new) / "x").lowered_step.deps
    assert dep is new
    assert as_executor_step(old.lowered_step) is old


def test_a_chain_of_diamonds_of_step_specs_is_lifted_once_each() -> None:
    """Each path through a pipeline would else be a step of its own: 2 ** 40 of them."""
    last = StepSpec("s", fn=lambda _: None)
    for i in range(40):
        last = StepSpec(f"s{i}", deps=[StepSpec(f"{side}{i}", deps=[last]) for side in "lr"])
    lifted = as_executor_step(last)
    left, right = lifted.config.deps
    assert left.config.deps[0] is right.config.deps[0]
