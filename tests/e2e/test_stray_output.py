"""What a pipeline prints, by whatever way, is no part of what programs read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from .support import PROGRAM, Project

if TYPE_CHECKING:
    from pathlib import Path

PRINTS = """\
import atexit, ctypes, os, subprocess, sys, threading
from pathlib import Path
from marin_build import step

os.system("printf STRAY-shell")
subprocess.run(["printf", "STRAY-child"])
os.write(1, b"STRAY-descriptor")
print("STRAY-print")
sys.__stdout__.write("STRAY-first-stream")
ctypes.CDLL(None).printf(b"STRAY-buffered-by-c")
atexit.register(print, "STRAY-at-exit")
atexit.register(os.write, 1, b"STRAY-at-exit")
helper = subprocess.Popen(["sh", "-c", "for i in $(seq 300); do printf STRAY-late; done"])
atexit.register(helper.kill)


def prints_on():
    for _ in range(300):
        print("STRAY-thread")


threading.Thread(target=prints_on, daemon=True).start()


@step
def one(output: Path, n: int) -> int:
    (output / "x").write_text(f"{n}")
    return n


targets = [one(n=1)]
"""


@pytest.fixture
def noisy(project: Project) -> Project:
    """A pipeline that prints in every way there is, while it loads and later."""
    project.pipeline(PRINTS)
    return project


def _answer(project: Project, *words: str) -> str:
    # A process of its own: what is registered for the end of Python runs there, too.
    done = project.bash("-c", f"marin-build {' '.join(words)} 2> err.txt")
    assert done.code == 0, (project.root / "err.txt").read_text()
    assert "STRAY" not in done.out
    return done.out


def test_no_way_of_printing_reaches_an_answer(noisy: Project) -> None:
    """Else every `--json` is invalid and `graph --format svg > f` is no XML."""
    assert json.loads(_answer(noisy, "plan", "--json"))["summary"]["run"] == 1
    events = [json.loads(line) for line in _answer(noisy, "apply", "--json").splitlines()]
    assert events[-1]["event"] == "apply_finished"
    for words in (["status", "--json"], ["verify", "--json", "one"]):
        assert json.loads(_answer(noisy, *words))
    assert ET.fromstring(_answer(noisy, "graph", "--format", "svg")).tag.endswith("svg")


def test_scripts_build_what_is_to_be_built(noisy: Project) -> None:
    """Else run.sh takes the first target for built, and says so with exit code 0."""
    assert noisy.run("plan", "-o", "saved").code == 0
    done = noisy.bash("-c", "saved/run.sh 2> err.txt")
    assert (done.code, noisy.status_of("one")) == (0, "SUCCESS")
    assert "STRAY" not in done.out


@pytest.mark.parametrize(("before", "after"), [("printf v1.2", "printf bye"), ("echo a", "echo b")])
def test_a_wrapper_may_print_beside_the_answer(project: Project, before: str, after: str) -> None:
    """Else `MARIN_BUILD="module load ..."` makes a script pass over what is not built."""
    project.pipeline(
        "from marin_build import command\ntargets = [command('echo x > {output}/x', name='one')]\n"
    )
    project.write("wrapped", f'#!/bin/sh\n{before}\n{PROGRAM} "$@"\ncode=$?\n{after}\nexit $code\n')
    (project.root / "wrapped").chmod(0o755)
    assert project.run("plan", "-o", "saved").code == 0
    environ = {"MARIN_BUILD": str(project.root / "wrapped")}
    assert project.bash("saved/run.sh", env=environ).code == 0
    assert project.status_of("one") == "SUCCESS"
    again = project.bash("saved/run.sh", env=environ)
    assert again.code == 0
    assert "skipped  one_" in again.out


def test_an_answer_that_is_broken_is_an_error(project: Project) -> None:
    """Else a script that understands nothing takes all for built."""
    project.pipeline(
        "from marin_build import command\ntargets = [command('echo x > {output}/x', name='one')]\n"
    )
    assert project.run("plan", "-o", "saved").code == 0
    done = project.bash("saved/run.sh", env={"MARIN_BUILD": "echo"})
    assert done.code == 5
    assert done.err.startswith("error: the answer of echo does not say whether one_")


def test_comparing_survives_what_a_start_of_python_prints(project: Project, tmp_path: Path) -> None:
    """Else one line of a `sitecustomize` makes `diff` and `--check-placement` fail."""
    project.pipeline(PRINTS)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text("print('STRAY', end='')\n")
    environ = {"PYTHONPATH": str(tmp_path / "start")}
    assert project.run("plan", "--check-placement", env=environ).code == 0
