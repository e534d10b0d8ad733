"""An evaluation is called after its checkpoint, as in Marin: its path depends on it."""

from __future__ import annotations

import pytest

from marin_build.compat.checkpoint_names import ckpt_path_to_step_name
from marin_build.compat.executor.values import ExecutorStep, InputName


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("checkpoints/llama/checkpoints/step-730000", "llama-730000"),
        ("gs://b/checkpoints/llama/checkpoints/step-5/", "llama-5"),
        ("gs://b/llama/hf/step-100", "llama-100"),
        ("meta-llama/Meta-Llama-3.1-8B", "Meta-Llama-3.1-8B"),
        ("/models/mine/", "mine"),
        ("org/step-5", "step-5"),
        ("mine", "mine"),
    ],
)
def test_a_path_names_its_run_and_step(path: str, name: str) -> None:
    assert ckpt_path_to_step_name(path) == name


@pytest.mark.parametrize(
    ("inside", "name"),
    [
        ("checkpoints/step-5", "llama-5"),
        ("checkpoints/step-5/", "llama-5"),
        ("hf/model", "model"),
        (None, "llama"),
    ],
)
def test_a_checkpoint_of_a_step_is_called_after_the_step(inside: str | None, name: str) -> None:
    step = ExecutorStep(name="runs/llama", fn=print, config=None)
    assert ckpt_path_to_step_name(InputName(step, inside)) == name


@pytest.mark.parametrize(
    "wrong",
    [
        "checkpoints/llama/checkpoints/best",
        "checkpoints/llama/checkpoints/step-x",
        "step-5",
        InputName(ExecutorStep(name="llama", fn=print, config=None), "checkpoints/best"),
        5,
    ],
)
def test_what_is_no_checkpoint_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid path|Unknown type"):
        ckpt_path_to_step_name(wrong)
