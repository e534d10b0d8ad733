"""Where no output may lie: what is built at a root, a home or a project lies among other files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.errors import SpecificationError, SpecificationErrors
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.refused_places import place_problem
from marin_build.pipeline.targets import make_targets
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

PREFIX, PROJECT, HOME = "/data/out", "/home/ada/project", "/home/ada"
LOCAL = {
    "/": "root",
    "//": "root",
    "/.": "root",
    "/data/..": "root",
    "/data/out": "the prefix",
    "/data/out/": "the prefix",
    "/data/./out": "the prefix",
    "/data/out/x/..": "the prefix",
    "/data": "holds the prefix",
    "/home/ada/project": "the project folder",
    "/home/ada/project/": "the project folder",
    "/home/ada": "holds the project folder",
    "/home": "holds the project folder",
    "/data/out/.marin-build": "keeps its own",
    "/data/out/.marin-build/tainted/x": "keeps its own",
    "/data/out/x/.marin-build/y": "keeps its own",
    "/data/out/.logs": "dot in front",
    "/data/out/a_1/.logs/x": "dot in front",
    "/home/ada/project/.marin-build": "keeps its own",
    "/home/ada/project/.marin-build/runs": "keeps its own",
    "/home/ada/project/.marin-build/runs/x": "keeps its own",
    "/home/ada/project/.marin-build/outputs": "keeps its own",
    "/elsewhere/.marin-build/cache/x": "keeps its own",
}
ALLOWED = [
    "/data/outer", "/data/out/x", "/data/out-2", "/data/x", "/home/ada/project/x",
    "/home/ada/project-2", "/home/bob", "/home/ada/x", "/mnt/.cache/x", "/data/out/a/b.c",
    "/home/ada/project/.marin-build/outputs/x", "/data/..x", "/scratch",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)


@pytest.mark.parametrize(("output", "words"), LOCAL.items())
def test_a_folder_that_is_nobodys_output(output: str, words: str) -> None:
    problem = place_problem(output, PREFIX, PROJECT)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize("output", ALLOWED)
def test_a_folder_that_an_author_may_choose(output: str) -> None:
    assert place_problem(output, PREFIX, PROJECT) is None
    assert place_problem(output, "gs://b/out", PROJECT) is None


def test_the_home_folder_is_refused_wherever_the_project_is() -> None:
    for output in (HOME, "/home", "/home/ada/."):
        problem = place_problem(output, PREFIX, "/srv/project")
        assert problem is not None
        assert "your home folder" in problem


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("gs://b", "whole bucket"),
        ("gs://b/", "whole bucket"),
        ("gs://b//", "whole bucket"),
        ("gs://b/x/..", "whole bucket"),
        ("gs://other", "whole bucket"),
        ("s3://other/", "whole bucket"),
        ("gs://b/team/out", "the prefix"),
        ("gs://b/team/out/", "the prefix"),
        ("gcs://b/team/out", "the prefix"),
        ("gs://b//team/out", "the prefix"),
        ("gs://b/team", "holds the prefix"),
        ("gs://b/team/out/.marin-build/runs/x", "keeps its own"),
        ("gs://b/other/.marin-build/runs", "keeps its own"),
        ("gs://b/team/out/.logs", "dot in front"),
    ],
)
def test_a_place_in_a_bucket_that_is_nobodys_output(output: str, words: str) -> None:
    """Buckets and disks have equal rules."""
    problem = place_problem(output, "gs://b/team/out", PROJECT)
    assert problem is not None
    assert words in problem


@pytest.mark.parametrize("output", ["gs://b/team/outer", "gs://b/x", "s3://b/team", "gs://c/team"])
def test_a_place_in_a_bucket_that_an_author_may_choose(output: str) -> None:
    assert place_problem(output, "gs://b/team/out", PROJECT) is None


def test_a_link_is_no_way_around(tmp_path: Path) -> None:
    """`/data/current -> /data/out` names the prefix, too."""
    (tmp_path / "out").mkdir()
    (tmp_path / "current").symlink_to("out")
    (tmp_path / "root").symlink_to("/")
    prefix = str(tmp_path / "out")
    assert "the prefix" in (place_problem(str(tmp_path / "current"), prefix, PROJECT) or "")
    assert "root" in (place_problem(str(tmp_path / "root"), prefix, PROJECT) or "")
    assert place_problem(str(tmp_path / "current/x"), prefix, PROJECT) is None


def test_all_refused_steps_are_named_with_where_they_are_declared(tmp_path: Path) -> None:
    """A pipeline with two such paths is corrected once."""
    workspace = Workspace(str(tmp_path), str(tmp_path / "out"))
    declared = (str(tmp_path / "pipeline.py"), 7)
    steps = [
        StepSpec(name="a", override_output_path="/", declared=declared),
        StepSpec(name="b", output_path_prefix="out/.marin-build", declared=declared),
        StepSpec(name="c"),
    ]
    with pytest.raises(SpecificationErrors) as caught:
        make_targets(build_graph(steps), workspace)
    text = caught.value.render()
    assert "no output can lie at `/`: that is the root of the file system" in text
    assert "hint: give `override_output_path` a folder" in text
    assert "hint: give `output_path_prefix` a folder" in text
    assert text.count("pipeline.py:7") == 2


@pytest.mark.parametrize(
    ("prefix", "step"),
    [
        (".marin-build", {"name": "runs", "version": "v1"}),
        (".marin-build", {"name": "tainted/x"}),
        (".marin-build/runs", {"name": "a"}),
        (".marin-build/cache/mine", {"name": "a"}),
    ],
)
def test_names_that_lead_into_folders_of_ours(
    tmp_path: Path, prefix: str, step: dict[str, str]
) -> None:
    """A prefix among our own folders can do that."""
    workspace = Workspace(str(tmp_path), str(tmp_path / prefix))
    with pytest.raises(SpecificationError, match="keeps its own files"):
        make_targets(build_graph([StepSpec(**step)]), workspace)  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", [".marin-build/outputs", ".marin-build/mine", ".marin-build"])
def test_a_prefix_of_ones_own_in_the_folder_of_ours(tmp_path: Path, prefix: str) -> None:
    workspace = Workspace(str(tmp_path), str(tmp_path / prefix))
    make_targets(build_graph([StepSpec(name="a"), StepSpec(name="b/c", version="v1")]), workspace)
