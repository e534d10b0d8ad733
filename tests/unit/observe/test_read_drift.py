"""What a step would be built in today: only what is known of that place is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.observe.read_drift import Environments
from marin_build.protocol.provenance import IMAGE_VARIABLE, variables_of

if TYPE_CHECKING:
    from pathlib import Path

BUILT = {"python": "3.1.0", "distributions": {"pydantic": "0.1"}, "locks": {}, "image": "a@1"}


def _texts(folder: Path, engine: str, step: StepSpec, recorded: Any = BUILT) -> list[str]:
    own = step.resources.image if step.resources is not None else None
    environments = Environments(str(folder), lambda _: engine == "local", lambda _: own or "a@2")
    return [item.text for item in environments.drift(step, recorded)]


def test_here_python_and_distributions_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an upgrade on this machine goes unseen."""
    monkeypatch.delenv(IMAGE_VARIABLE, raising=False)
    (tmp_path / "uv.lock").write_text("x")
    python, pydantic, lock = _texts(tmp_path, "local", StepSpec(name="a"))
    assert python.startswith("Python 3.1.0 -> 3.")
    assert pydantic.startswith("pydantic 0.1 -> 2.")
    assert lock == "uv.lock added"


def test_what_is_installed_here_says_nothing_of_a_pod(tmp_path: Path) -> None:
    """Else every plan from a laptop reports the laptop's Python."""
    resources = ResourceConfig.with_cpu(image="a@3")
    assert _texts(tmp_path, "kubernetes", StepSpec(name="a")) == ["image a@1 -> a@2"]
    one = StepSpec(name="b", resources=resources)
    assert _texts(tmp_path, "kubernetes", one) == ["image a@1 -> a@3"]


def test_a_record_that_does_not_say_is_not_compared(tmp_path: Path) -> None:
    """Else everything that an older version built drifts at once."""
    assert _texts(tmp_path, "local", StepSpec(name="a"), None) == []


@pytest.mark.parametrize("engine", ["local", "kubernetes"])
@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ({"LR": "1"}, {"LR": "2"}, ["env_vars.LR changed"]),
        ({}, {"LR": "2"}, ["env_vars.LR added"]),
        ({"LR": "1"}, {}, ["env_vars.LR removed"]),
        ({"A": "1", "B": ""}, {"B": "", "A": "1"}, []),
        ({"LR": "1"}, {"LR": "1", "HF_TOKEN": "hf_0123456789"}, []),
        ({"U": "s3://me:one-secret@h"}, {"U": "s3://me:other-secret@h"}, []),
        ({"PROMPT": "x" * 15_000}, {"PROMPT": "x" * 15_001}, ["env_vars.PROMPT changed"]),
        (None, {"LR": "1"}, []),
    ],
)  # fmt: skip
def test_a_step_that_is_given_other_variables_drifts(
    tmp_path: Path, engine: str, then: dict[str, str] | None, now: dict[str, str], told: list[str]
) -> None:
    """Else a changed OMP_NUM_THREADS, or a flag of a library, is reused without a word."""
    recorded = {"variables": None if then is None else variables_of(then)}
    assert _texts(tmp_path, engine, StepSpec(name="a", env_vars=now), recorded) == told


def test_records_keep_no_secret_of_a_step() -> None:
    """Else all people who may read an output may read the token that built it."""
    given = {"API_KEY": "0123456789", "URL": "s3://a:0123456789@b", "N": "1"}
    kept = variables_of(given)
    assert list(kept) == ["N"]
    assert kept["N"].startswith("sha256:"), "a page of a graph shows no value of a variable"


def test_each_step_is_compared_with_its_own_variables(tmp_path: Path) -> None:
    """Else the second of two steps with one record gets the answer of the first."""
    environments = Environments(str(tmp_path), lambda _: True, lambda _: None)
    recorded = {"variables": variables_of({"N": "1"})}
    found = [
        [item.text for item in environments.drift(StepSpec(name="a", env_vars={"N": n}), recorded)]
        for n in ("1", "2", "1")
    ]
    assert found == [[], ["env_vars.N changed"], []]


def test_each_step_is_compared_with_its_own_secrets(tmp_path: Path) -> None:
    """Else a step whose variable became a secret gets the answer of its neighbour, or gives it."""
    environments = Environments(str(tmp_path), lambda _: True, lambda _: None)
    recorded = {"variables": variables_of({"N": "some value"})}
    found = [
        [
            item.text
            for item in environments.drift(
                StepSpec(name="a", env_vars={"N": "some value"}, secrets=secrets), recorded
            )
        ]
        for secrets in ((), ("N",), ())
    ]
    assert found == [[], ["env_vars.N removed"], []]
