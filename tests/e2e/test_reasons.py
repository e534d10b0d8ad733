"""Every line has a reason: what changed since the last build, down to the leaf."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .support import DIAMOND

if TYPE_CHECKING:
    from .support import Project


def test_a_plan_names_the_attribute_that_changed_and_follows_it(project: Project) -> None:
    """Else people compare files by eye to find out what they changed."""
    project.pipeline(DIAMOND)
    project.run("apply")
    planned = project.run("plan", "--set", "lines=4")
    assert project.mask(planned.out) == (
        "  ~ rebuild  corpus_HASH  attrs.lines 3 -> 4 (pipeline.py:37)\n"
        "  ! cascade  left_HASH    needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  right_HASH   needs corpus, which changed: attrs.lines 3 -> 4\n"
        "  ! cascade  report_HASH  needs corpus, which changed: attrs.lines 3 -> 4 and 2 more\n"
        "plan p-PLAN: 4 to build (1 rebuild, 3 cascade), 0 reused\n"
        "to build it: marin-build apply --set lines=4\n"
    )


def test_the_nearest_build_counts_whoever_made_it_and_whenever(project: Project) -> None:
    """Else a step is compared with an experiment of last year."""
    project.pipeline(DIAMOND)
    project.run("apply", "--set", "lines=100", "--set", "left=7")
    project.run("apply")
    project.run("apply", "--set", "lines=200", "--set", "left=8")
    planned = project.run("plan", "--json", "--set", "left=9")
    (left,) = [d for d in planned.document["decisions"] if d["name"] == "left"]
    (reason,) = left["reasons"]
    assert reason["kind"] == "identity_changed"
    assert reason["changes"] == [{"path": "attrs.times", "old": 1, "new": 9}]


def test_a_new_pipeline_has_nothing_to_be_compared_with(project: Project) -> None:
    """Else the first plan is full of guesses."""
    project.pipeline(DIAMOND)
    assert project.run("plan").out.count("never built") == 4


def test_an_input_that_changed_is_named(project: Project) -> None:
    """Else an edited file looks like an edited pipeline."""
    project.write("data.txt", "one\n")
    project.pipeline(
        "from pathlib import Path\n"
        "from marin_build import source, step\n\n"
        "@step\n"
        "def copy(output: Path, data: Path) -> None:\n"
        "    (output / 'copy').write_text(data.read_text())\n\n"
        "def pipeline():\n"
        "    return copy(source('data.txt'))\n"
    )
    project.run("apply")
    project.write("data.txt", "two\n")
    assert "~ rebuild  copy_HASH  inputs." in project.mask(project.run("plan").out)


def test_explain_tells_all_of_one_target(project: Project) -> None:
    """Else whoever wants more than one line has to read records by hand."""
    project.pipeline(DIAMOND)
    project.run("apply")
    explained = project.run("explain", "left", "--set", "lines=4", "--set", "left=5")
    lines = project.mask(explained.out).splitlines()
    assert lines[1] == "decision  run: attrs.times 1 -> 5 and 1 more"
    assert lines[4].startswith("compared  with left_HASH, built DATE by ")
    assert lines[5] == "changed   attrs.times  1 -> 5"
    assert lines[6].endswith('-> "corpus_HASH"  (attrs.lines 3 -> 4)')
    as_json = json.loads(project.run("explain", "left", "--json", "--set", "left=5").out)
    assert as_json["reason"]["changes"] == [{"path": "attrs.times", "old": 1, "new": 5}]
    built = project.run("explain", "left")
    assert "decision  reuse: built " in built.out
    several = project.run("explain", "*")
    assert (several.code, "stands for 4 targets" in several.err) == (4, True)
