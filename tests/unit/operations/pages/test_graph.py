"""The graph as Python gets it: values, and nothing on a terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build.emit.graph.drawing import View
from marin_build.errors import UsageError
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.pages.graph import draw_pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.operations.loading.loading import Loaded

PIPELINE = """\
from marin_build import command

raw = command("echo 1 > {output}/x", name="data/raw")
targets = [command("cat {raw}/x > {output}/x", name="end", deps={"raw": raw}, tags=("t",))]
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """A pipeline of two steps, neither of them built."""
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").write_text("")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return load(PipelineOptions(file=str(tmp_path / "pipeline.py")))


def test_a_pipeline_is_drawn_without_a_terminal(
    loaded: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    """Else a notebook cannot show the graph."""
    drawing = draw_pipeline(loaded)
    lines = [line.split("_")[0] for line in drawing.text.splitlines()]
    assert lines == ["+ end", "`-- + data/raw"]
    assert [(node.name, node.tags) for node in drawing.picture.nodes] == [
        ("data/raw", ()), ("end", ("t",)),
    ]  # fmt: skip
    document = json.loads(draw_pipeline(loaded, ["data/raw"], View("json")).text)
    assert [node["name"] for node in document["nodes"]] == ["data/raw"]
    assert draw_pipeline(loaded, view=View("html")).text.startswith("<!DOCTYPE html>")
    assert tuple(capfd.readouterr()) == ("", "")


def test_what_is_drawn_can_be_less(loaded: Loaded) -> None:
    """Else a notebook has to filter by itself what the command line filters."""
    assert draw_pipeline(loaded, view=View(states=("failed",))).picture.nodes == ()
    names = [node.name for node in draw_pipeline(loaded, view=View(depth=1)).picture.nodes]
    assert names == ["data/raw", "end"], "a folder of one target is that target"


def test_an_unknown_engine_is_refused(loaded: Loaded) -> None:
    """Else the picture is of a plan that cannot be carried out."""
    with pytest.raises(UsageError, match="cloud"):
        draw_pipeline(replace(loaded, settings=replace(loaded.settings, engine="cloud")))
