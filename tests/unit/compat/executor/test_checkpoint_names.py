"""Names that analyses of checkpoints have in buckets."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.compat.executor import ExecutorStep, InputName
from marin_build.compat.executor.checkpoint_names import ckpt_path_to_step_name

RUN: ExecutorStep[None] = ExecutorStep("checkpoints/myrun", None, None)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("checkpoints/llama-8b/checkpoints/step-730000", "llama-8b-730000"),
        ("checkpoints/llama-8b/checkpoints/step-730000/", "llama-8b-730000"),
        ("gs://b/checkpoints/llama-8b/hf/step-9", "llama-8b-9"),
        ("meta-llama/Meta-Llama-3.1-8B", "Meta-Llama-3.1-8B"),
        ("gs://b/models/final", "final"),
        (RUN / "checkpoints/step-555000", "myrun-555000"),
        (RUN / "checkpoints/step-555000/", "myrun-555000"),
        (RUN / "hf", "hf"),
        (RUN.as_input_name(), "myrun"),
    ],
)
def test_a_checkpoint_has_the_name_that_marin_gives_it(path: Any, name: str) -> None:
    """Else evaluations of known checkpoints would be made again under another name."""
    assert ckpt_path_to_step_name(path) == name


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("checkpoints/llama/checkpoints/not-a-step", "Invalid path"),
        ("checkpoints/llama/checkpoints", "Invalid path"),
        ("checkpoints/llama/checkpoints/step-", "Invalid path"),
        (InputName(RUN, "checkpoints/last"), "Invalid path"),
        (12345, "Unknown type"),
    ],
)
def test_what_names_no_checkpoint_is_refused(path: Any, words: str) -> None:
    """A name without a step would stand for all checkpoints of a training."""
    with pytest.raises(ValueError, match=words):
        ckpt_path_to_step_name(path)
