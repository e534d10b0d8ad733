"""What Marin's executor wrote beside an output, read as a record of an earlier build."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from marin_build.compat.executor import Executor, ExecutorStep, this_output_path, versioned
from marin_build.compat.executor.lowering import Lowering
from marin_build.compat.executor.records import (
    asdict_without_description,
    info_text,
    step_info,
)
from marin_build.compat.executor.version import Versions
from marin_build.protocol.executor_info_reader import parse_executor_info


@dataclass(frozen=True)
class Config:
    data: Any = None
    init: Any = None
    n: Any = 0
    output_path: Any = None


def run(config: Any) -> None:
    """Do nothing."""


RAW: Any = ExecutorStep("raw", run, Config(n=versioned({"b": 1.5, "a": "ü"})))
BASE: Any = ExecutorStep("base", run, Config(RAW / "x"), override_output_path="pinned/base/")
STEPS = {
    "plain": RAW,
    "needs one twice": ExecutorStep("tok", run, [RAW / "x", {"k.l": RAW}]),
    "waits for none": ExecutorStep("eval", run, Config(BASE.cd("ckpt").nonblocking())),
    "waits for one": ExecutorStep(
        "train",
        run,
        Config([RAW / "y", BASE.cd("ckpt").nonblocking()], RAW, versioned(1), this_output_path()),
    ),
}


@pytest.mark.parametrize("kind", STEPS)
def test_the_payload_is_that_of_the_lowered_step(kind: str) -> None:
    """Else a plan names changes in a bucket of Marin's where nothing changed."""
    step: Any = STEPS[kind]
    executor = Executor("/data/out")
    executor.compute_version(step)
    known = Versions("/data/out")
    known.add(step)
    info = step_info(known, step, executor.configs[step])
    built = parse_executor_info(info_text(asdict_without_description(info)).encode())
    lowered = Lowering(known).lower(step)
    assert built is not None
    assert built.hashed == json.loads(lowered.payload)
    assert (built.fingerprint, built.target) == (lowered.fingerprint, lowered.target_id)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[]",
        "{}",
        '{"version": {}, "executor_version": "step_runner"}',
        '{"version": {"name": "a", "config": {}, "dependencies": 3}, "dependencies": []}',
        '{"version": {"name": "a", "config": {"x": "DEP[0]"}, "dependencies": []}, "config": {}}',
        '{"version": {"name": "a", "config": {"x": "DEP[0]"}, "dependencies": [{}]}}',
        '{"version": {"name": 1, "config": {}, "dependencies": []}, "dependencies": []}',
    ],
)
def test_what_tells_no_version_explains_nothing(document: str) -> None:
    """Anybody may write into a bucket."""
    assert parse_executor_info(document.encode()) is None
