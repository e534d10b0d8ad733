"""The same graphs given to Marin's executor and to ours: folders, configs and errors are equal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from marin_build.compat import executor as names
from marin_build.compat.executor import Executor, ExecutorMainConfig
from marin_build.compat.executor.arguments import parse_arguments
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.errors import UsageError

from .graph_trees import shown, steps_of

DATA = Path(__file__).parents[3] / "data" / "marin_executor"
KNOWN = json.loads((DATA / "versions.json").read_text())
ARGUMENTS = json.loads((DATA / "arguments.json").read_text())


@pytest.mark.parametrize("vector", KNOWN["vectors"], ids=lambda v: v["steps"][0]["name"])
def test_paths_and_configs_are_those_of_marin(vector: dict[str, Any]) -> None:
    """Else what Marin has built is not found, and is built again for weeks on TPUs."""
    steps = steps_of(vector["steps"], names, ResourceConfig)
    executor = Executor(vector["prefix"], f"{vector['prefix']}/experiments")
    for step in steps:
        executor.compute_version(step, is_pseudo_dep=False)
    found = [
        {
            "md5": hashlib.md5(executor.version_strs[step].encode()).hexdigest(),
            "path": executor.output_paths[step],
            "config": json.loads(json.dumps(shown(executor.configs[step]))),
            "dependencies": [
                next(i for i, one in enumerate(steps) if one is dep)
                for dep in executor.dependencies[step]
            ],
        }
        for step in steps
    ]
    assert found == vector["marin"]


@pytest.mark.parametrize("vector", KNOWN["errors"], ids=lambda v: v["marin"])
def test_what_marin_refuses_is_refused(vector: dict[str, Any]) -> None:
    """Programs that catch Marin's exceptions would miss ours."""
    kind = {"ValueError": ValueError, "TypeError": TypeError}[vector["marin"]]
    with pytest.raises(kind):
        _compute(vector["steps"])


def _compute(graph: list[dict[str, Any]]) -> None:
    for step in steps_of(graph, names, ResourceConfig):
        Executor("/p", "/p").compute_version(step, is_pseudo_dep=False)


@pytest.mark.parametrize(("words", "said"), ARGUMENTS, ids=lambda part: " ".join(part or ()))
def test_arguments_are_read_as_marin_reads_them(
    words: list[str], said: dict[str, Any] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line of somebody's notes would mean something else here."""
    if said is None:
        with pytest.raises((UsageError, SystemExit)):
            parse_arguments(words)
        return
    assert parse_arguments(words) == ExecutorMainConfig(**said)
    assert capsys.readouterr().err == ""
