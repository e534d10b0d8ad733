"""`@step`: every argument is a dependency, an input or identity; none is forgotten."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepFunction, StepSpec, step
from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = Source("text", "/project/text.txt")


@dataclass(frozen=True)
class Config:
    data: Any = None


@step
def train_model(output: str, data: Path, lr: float = 0.1, *, layers: Any = 2) -> dict[str, Any]:
    """Return what arrived."""
    return {"output": output, "data": data, "lr": lr, "layers": layers}


@step(name="eval/{task}", retries=3)
def evaluate(output: Path, task: str, shots: int = 0) -> None: ...


RAW: Any = StepSpec(name="raw")


def test_arguments_are_told_apart() -> None:
    declared = train_model(RAW, layers=3)
    assert declared.name == "train-model"
    assert declared.deps == (RAW,)
    assert declared.hash_attrs == {"lr": 0.1, "layers": 3}
    assert declared.inputs == {}
    given: Any = TEXT
    assert train_model(given).inputs == {"data": TEXT}
    assert Path(declared.declared[0]) == Path(__file__)


def test_a_default_is_identity_too() -> None:
    assert train_model(RAW).fingerprint == train_model(data=RAW, lr=0.1, layers=2).fingerprint
    assert train_model(RAW).fingerprint != train_model(RAW, 0.2).fingerprint


def test_swapping_two_dependencies_makes_another_target() -> None:
    """`deps` is sorted, so only what each parameter stands for tells f(a, b) from f(b, a)."""

    @step
    def compare(output: str, left: Path, right: Path) -> None: ...

    a: Any = StepSpec(name="a")
    b: Any = StepSpec(name="b")
    assert compare(a, b).fingerprint != compare(b, a).fingerprint
    assert compare(a, b).fingerprint == compare(right=b, left=a).fingerprint


def test_steps_in_containers_are_dependencies_in_their_order() -> None:
    @step
    def merge(output: str, parts: list[Path], named: dict[str, Path]) -> None: ...

    a: Any = StepSpec(name="a")
    b: Any = StepSpec(name="b")
    declared = merge([a, b], {"x": b})
    assert declared.deps == (a, b, b)
    assert declared.fingerprint != merge([b, a], {"x": b}).fingerprint
    assert declared.fingerprint != merge([a, b], {"y": b}).fingerprint
    assert declared.hash_attrs == {}


def test_the_name_can_carry_attributes() -> None:
    declared = evaluate("gsm8k", shots=5)
    assert (declared.name, declared.retries) == ("eval/gsm8k", 3)
    assert declared.hash_attrs == {"task": "gsm8k", "shots": 5}
    with pytest.raises(SpecificationError, match=r"uses `\{size\}`, which is no attribute"):
        evaluate.options(name="eval/{size}")("gsm8k")
    with pytest.raises(SpecificationError, match="illegal step name `eval/a b`"):
        evaluate("a b")


def test_options_make_another_function_and_leave_the_first_alone() -> None:
    other = evaluate.options(name="score", tags=["cheap"])
    assert isinstance(other, StepFunction)
    assert (other("t").name, other("t").retries, other("t").tags) == ("score", 3, ("cheap",))
    assert (evaluate("t").name, evaluate("t").tags) == ("eval/t", ())


def test_options_are_not_identity() -> None:
    plain = train_model(RAW)
    other = train_model.options(retries=9, tags=["x"], description="d", env_vars={"A": "1"})(RAW)
    assert plain.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda: None, "is not `output`"),
        (lambda path: None, "is not `output`"),
        (lambda *output: None, "is not `output`"),
        (lambda output, *rest: None, r"takes `\*rest`"),
        (lambda output, **rest: None, r"takes `\*\*rest`"),
    ],
)
def test_a_signature_that_cannot_be_a_steps_is_refused(
    function: Callable[..., None], says: str
) -> None:
    with pytest.raises(SpecificationError, match=says):
        step(function)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (train_model, "missing a required argument: 'data'"),
        (
            lambda: train_model(RAW, size=1),  # type: ignore[call-arg]
            "unexpected keyword argument 'size'",
        ),
        (lambda: train_model(RAW, layers=print), "cannot fingerprint `train-model.attrs.layers`"),
        (lambda: train_model(RAW, layers=[RAW, 3]), "`layers`"),
        (lambda: train_model(RAW, layers={RAW}), "layers"),
        (lambda: train_model(RAW, layers=Config(RAW)), "layers.data"),
        (lambda: train_model(RAW, layers=Config(TEXT)), "layers.data"),
    ],
)
def test_a_call_that_cannot_be_followed_is_refused(call: Callable[[], object], says: str) -> None:
    with pytest.raises(MarinBuildError, match=says):
        call()


def test_the_function_is_called_with_what_was_declared() -> None:
    declared = train_model(RAW, layers=[1, 2])
    assert declared.fn is not None
    assert declared.fn("/out") == {
        "output": "/out", "data": Path(RAW.output_path), "lr": 0.1, "layers": [1, 2],
    }  # fmt: skip


def test_a_configuration_that_is_changed_later_does_not_change_the_step() -> None:
    """In a loop over settings, each step must be trained with its own, not with the last."""
    config = {"size": 1, "deep": [1]}
    first = train_model(RAW, layers=config)
    before = first.fingerprint
    config["size"] = 2
    config["deep"].append(2)  # type: ignore[attr-defined]
    second = train_model(RAW, layers=config)
    assert first.fn is not None
    assert second.fn is not None
    assert first.fn("/out")["layers"] == {"size": 1, "deep": [1]}  # type: ignore[index]
    assert second.fn("/out")["layers"] == {"size": 2, "deep": [1, 2]}  # type: ignore[index]
    assert first.fingerprint == before != second.fingerprint


def test_a_list_of_steps_that_grows_later_does_not_change_the_step() -> None:
    @step
    def merge(output: str, parts: list[Path]) -> list[str]:
        return [str(part) for part in parts]

    parts: list[Any] = [StepSpec(name="a")]
    declared = merge(parts)
    payload = declared.payload
    parts.append(StepSpec(name="b"))
    assert declared.payload == payload
    assert declared.fn is not None
    assert declared.fn("/out") == [declared.deps[0].output_path]


def test_the_undecorated_function_can_still_be_called() -> None:
    assert train_model.function("/o", Path("d")) == {
        "output": "/o", "data": Path("d"), "lr": 0.1, "layers": 2,
    }  # fmt: skip


def test_the_payload_has_no_place_in_it() -> None:
    payload = json.loads(train_model(RAW).payload)
    assert payload["bind"] == {"data": RAW.target_id}
    assert "/" not in train_model(RAW).payload
