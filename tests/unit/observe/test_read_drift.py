"""What a step would be built in today: only what is known of that place is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marin_build import ResourceConfig, StepSpec
from marin_build.observe.read_drift import Environments
from marin_build.protocol.provenance import IMAGE_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BUILT = {"python": "3.1.0", "distributions": {"pydantic": "0.1"}, "locks": {}, "image": "a@1"}


def _texts(folder: Path, engine: str, step: StepSpec, recorded: Any = BUILT) -> list[str]:
    environments = Environments(str(folder), engine == "local", "a@2")
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
