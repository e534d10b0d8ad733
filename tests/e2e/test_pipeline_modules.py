"""A pipeline that is a module of a package goes everywhere: plans, scripts, revisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .support import Project

DAILY = """\
from pathlib import Path

from marin_build import StepSpec, step

from .names import WORD


@step
def words(output: Path, word: str, times: int) -> None:
    from . import names  # late, in the step's own process

    (output / "words.txt").write_text(names.WORD * times)


def nightly(times: int = 2) -> StepSpec:
    return words(word=WORD, times=times)


targets = [words(word="all", times=1)]
"""
NAMED = ["acme.daily:nightly", "src/acme/daily.py:nightly"]


@pytest.fixture(autouse=True)
def acme(project: Project) -> None:
    """A package that is not installed."""
    project.write("marin-build.toml", "")
    project.write("src/acme/__init__.py", "")
    project.write("src/acme/names.py", "WORD = 'to'\n")
    project.write("src/acme/daily.py", DAILY)


@pytest.mark.parametrize("named", NAMED)
def test_a_saved_plan_replays_it_with_and_without_us(project: Project, named: str) -> None:
    assert project.run("plan", "-f", named, "--set", "times=3", "-o", "plans/one").code == 0
    saved = project.root / "plans/one"
    document = json.loads((saved / "plan.json").read_text())
    assert document["pipeline"] == named
    target = document["decisions"][0]["target"]
    elsewhere = project.root.parent
    done = project.bash(saved / "run.sh", cwd=elsewhere)
    assert (done.code, done.err) == (0, "")
    text = project.root / ".marin-build/outputs" / target / "words.txt"
    assert text.read_text() == "tototo"
    done = project.run("apply", saved, cwd=elsewhere)
    assert (done.code, done.err) == (0, "")


def test_a_replay_carries_the_module_into_the_steps_own_process(project: Project) -> None:
    assert project.run("plan", "-f", NAMED[0], "-o", "one").code == 0
    done = project.run("apply", project.root / "one", cwd=project.root.parent)
    assert (done.code, done.err) == (0, "")


def test_the_configuration_may_name_it(project: Project) -> None:
    project.write("marin-build.toml", 'pipeline = "acme.daily:nightly"\n')
    for folder in (project.root, project.root / "src"):
        document = project.run("plan", "--json", cwd=folder).document
        assert [each["name"] for each in document["decisions"]] == ["words"]


def test_it_is_compared_with_a_revision_of_its_package(project: Project) -> None:
    """Else `diff` compares the checkout with itself, because the package is found there."""
    project.environment["PYTHONPATH"] = str(project.root / "src")
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        assert project.execute(["git", *who, *words]).code == 0
    project.write("src/acme/names.py", "WORD = 'be'\n")
    done = project.run("diff", "HEAD", "-f", NAMED[0])
    assert 'attrs.word "to" -> "be"' in done.out, done.err
    done = project.run("plan", "-f", NAMED[0], "changed-since:HEAD", "--json")
    assert [each["name"] for each in done.document["decisions"]] == ["words"]
    project.write("marin-build.toml", 'pipeline = "acme.weekly"\n')
    project.write("src/acme/weekly.py", DAILY)
    assert "there is no pipeline in HEAD" in project.run("diff", "HEAD").out
    done = project.run("diff", "HEAD", "--json", "-f", "acme.weekly")
    assert done.document["old"]["pipeline"] is None


def test_what_is_not_there_is_told_in_our_words(project: Project) -> None:
    for named, says in {
        "acme.never": "error: no pipeline file or module `acme.never`\n",
        "acme.daily:nightli": "error: the pipeline has no `nightli`\n",
    }.items():
        done = project.run("plan", "-f", named)
        assert (done.code, done.out) == (4, "")
        assert done.err.startswith(says)
        assert "Traceback" not in done.err
    project.write("acme/daily.py", DAILY)
    done = project.run("plan", "-f", "acme.daily")
    assert done.code == 4
    assert done.err == (
        "error: two modules of the project are called `acme.daily`\n"
        "  files: src/acme/daily.py\n"
        "         acme/daily.py\n"
        "  nothing was run\n"
        "hint: name the file that is meant: -f path/to/file.py\n"
    )
