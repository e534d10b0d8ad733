"""Files of a project that are called as a module of Python, or of a package that we need."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from marin_build.pipeline.shadowed_names import OUR_NAMES

from .support import PROGRAM

if TYPE_CHECKING:
    from .support import Project

TAKEN = "raise SystemExit('a file of the project was imported as {}')\n"
PIPELINE = """\
from marin_build import command, step

@step
def words(output) -> dict:
    found = __import__("queue").Queue
    open(output + "/x", "w").write(str(found))
    return {"n": 1}

targets = [words(), command("echo x > {output}/x", name="said")]
"""


@pytest.fixture
def crowded(project: Project) -> Project:
    """A project with a file, or a package, for each name that we import or might."""
    for number, name in enumerate(sorted({*sys.stdlib_module_names} | OUR_NAMES)):
        place = f"{name}/__init__.py" if number % 3 == 0 else f"{name}.py"
        project.write(place, TAKEN.format(name))
    return project


def test_no_name_of_a_file_breaks_us(crowded: Project) -> None:
    """Else a `tokenize.py` beside the pipeline is "a bug in marin-build"."""
    crowded.pipeline(PIPELINE)
    for words in (
        ["plan", "-o", "saved", "--check-placement"], ["apply", "--json"], ["status"],
        ["graph", "--format", "svg"], ["explain", "words"], ["verify", "words"],
    ):  # fmt: skip
        # A process of its own: nothing is imported beforehand.
        done = crowded.execute([PROGRAM, *words])
        assert (done.code, "a file of the project" in done.err + done.out) == (0, False), done
    assert "queue.Queue" in (crowded.output_of("words") / "x").read_text()
    assert crowded.bash("saved/run.sh").code == 0


def test_the_current_folder_is_not_imported_from(project: Project) -> None:
    """Else `python -m marin_build` imports what lies where it is started."""
    for name in ("queue", "tokenize", "click", "asyncio", "rich", "fsspec"):
        project.write(f"{name}.py", TAKEN.format(name))
    project.pipeline(PIPELINE)
    done = project.execute([sys.executable, "-m", "marin_build", "apply"])
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("import tokenize", "tokenize"),
        ("from queue import mine", "queue"),
        ("import json.decoder", "json"),
        ("def later():\n    import random", "random"),
        ("import click", "click"),
        ("from fsspec import open as fs", "fsspec"),
    ],
)
@pytest.mark.parametrize("place", ["pipeline", "helper"])
def test_a_name_that_is_passed_over_is_told(
    project: Project, statement: str, name: str, place: str
) -> None:
    """Else a project's own file is passed over for Python's, without a word."""
    project.write(f"{name}.py", "mine = 1\n")
    targets = "from marin_build import command\ntargets = [command('true', name='a', outputs=())]\n"
    if place == "helper":
        project.write("helper.py", f"{statement}\n")
        project.pipeline(f"import helper\n{targets}")
    else:
        project.pipeline(f"{statement}\n{targets}")
    done = project.run("plan")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(
        f"error: `import {name}` means two modules: a file of yours, and one"
    )
    assert f"  yours:    {name}.py\n" in done.err
    assert f"{place}.py:" in done.err
    assert "hint: rename it, or move it into a package" in done.err


def test_a_file_in_a_package_shadows_nothing(project: Project) -> None:
    """Else nobody may call a module of a package `queue`."""
    project.write("mine/__init__.py", "")
    project.write("mine/queue.py", "value = 1\n")
    project.pipeline(
        "from mine import queue\nfrom mine.queue import value\n"
        "from marin_build import command\ntargets = [command('true', name='a', outputs=())]\n"
    )
    assert project.run("plan").code == 0


@pytest.mark.parametrize("file", ["queue.py", "click.py", "tokenize/steps.py"])
def test_a_pipeline_of_such_a_name_is_refused(project: Project, file: str) -> None:
    """Else the pipeline takes the place of Python's module in this process."""
    if "/" in file:
        project.write("tokenize/__init__.py", "")
    project.write(file, "from marin_build import command\ntargets = [command('true', name='a')]\n")
    done = project.run("plan", "-f", file)
    assert (done.code, done.out) == (4, "")
    assert "the pipeline would be imported as" in done.err
    assert "hint: rename the f" in done.err
