"""`diff` that uses what earlier loads listed says what it says when it loads both sides.

What starts a process that loads a side is noted in a file. Files count as old, so that what is read
of them is believed at once.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.support import Done, Project

NOTES = """\
import os, sys, time
now = time.time_ns
time.time_ns = lambda: now() + 10_000_000_000
if "list-targets" in sys.orig_argv:
    with open(os.path.join(os.path.dirname(__file__), "loads"), "a") as stream:
        stream.write("LOADED\\n")
"""
PIPELINE = """\
import glob, json, os, pathlib
from helper import FACTOR
from marin_build import source, step

HERE = pathlib.Path(__file__).parent


@step
def part(output: str, n: int, corpus: str, found: str) -> dict[str, int]:
    return {"n": n}


@step
def total(output: str, parts: list[dict[str, int]], rates: str) -> dict[str, int]:
    return {"n": 0}


def pipeline(count: int = 2):
    found = json.dumps(
        {
            "scale": os.environ.get("SCALE"),
            "text": (HERE / "texts" / "a.txt").read_bytes().decode(),
            "ignored": sorted(map(os.path.basename, glob.glob(str(HERE / "*.data")))),
            "extra": os.path.exists("extra.data"),
            "rates": (HERE / "rates.data").read_text(),
        }
    )
    parts = [part(n * FACTOR, source("corpus.data"), found) for n in range(count)]
    return [total(parts, found)]
"""
OFF = "--no-analysis-cache"


@pytest.fixture
def checkout(project: Project) -> Project:
    """Return a project in a git checkout, with a pipeline that looks at many things."""
    (project.home / "notes").mkdir()
    (project.home / "notes" / "sitecustomize.py").write_text(NOTES)
    project.environment["PYTHONPATH"] = str(project.home / "notes")
    project.write(".gitignore", ".marin-build/\n__pycache__/\n*.data\n*.toml\n")
    project.write("helper.py", "FACTOR = 2\n")
    project.write("texts/a.txt", "one\ntwo\n")
    project.write("corpus.data", "a\nb\n")
    project.write("rates.data", "0.5")
    project.write("more.toml", "count = 3\n")
    project.pipeline(PIPELINE)
    git(project, "init", "-q", "-b", "main")
    _commit(project)
    return project


def git(project: Project, *args: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = project.execute(["git", *who, *args])
    assert done.code == 0, done.err
    return done.out


def _commit(project: Project) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-q", "--allow-empty", "-m", "a change")


def _loads(project: Project) -> int:
    """Return how many sides were loaded since this was asked last."""
    notes = project.home / "notes" / "loads"
    count = len(notes.read_text().splitlines()) if notes.exists() else 0
    notes.write_text("")
    return count


def _until_kept(project: Project, *args: str) -> Done:
    """Compare until that needs no load; return the last comparison."""
    for _ in range(6):
        _loads(project)
        done = project.run("diff", *args)
        assert done.code == 0, done.err
        if not _loads(project):
            return done
    raise AssertionError(project.run("doctor").out)


def test_a_revision_is_loaded_no_more_than_needed(checkout: Project) -> None:
    """Else each comparison waits for what the pipeline imports, twice."""
    checkout.write("helper.py", "FACTOR = 3\n")
    first = checkout.run("diff")
    assert _loads(checkout) == 2
    assert _until_kept(checkout) == first
    assert (checkout.run("diff", OFF), _loads(checkout)) == (first, 2)
    assert checkout.run("diff", "main", "HEAD").out.endswith("no difference; 3 the same\n")
    assert _loads(checkout) == 0, "what is one commit is listed once"
    planned = checkout.run("plan", "changed-since:HEAD", "--json")
    assert planned == checkout.run("plan", "changed-since:HEAD", "--json", OFF)


def test_what_other_commands_keep_of_the_files_is_used(checkout: Project) -> None:
    """Else a pipeline that was just planned twice is loaded once more."""
    _until_kept(checkout, "HEAD", "HEAD")
    for _ in range(4):
        assert checkout.run("plan").code == 0
    assert (checkout.run("diff").code, _loads(checkout)) == (0, 0)


def _replace(project: Project) -> None:
    """Have git take another tree for HEAD."""
    head = git(project, "rev-parse", "HEAD").strip()
    project.write("helper.py", "FACTOR = 9\n")
    _commit(project)
    git(project, "replace", head, git(project, "rev-parse", "HEAD").strip())
    git(project, "reset", "-q", "--soft", head)


CHANGES: dict[str, Callable[[Project], object]] = {
    "ignored file": lambda it: it.write("rates.data", "0.7"),
    "ignored input": lambda it: it.write("corpus.data", "c\n"),
    "new ignored file": lambda it: it.write("extra.data", ""),
    "variable": lambda it: it.environment.update(SCALE="3"),
    "line ends of git": lambda it: git(it, "config", "core.autocrlf", "true"),
    "attributes of git": lambda it: it.write(".git/info/attributes", "*.txt eol=crlf\n"),
    "replaced commit": _replace,
    "file of parameters": lambda it: it.write("more.toml", "count = 4\n"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_outside_of_the_commit_is_seen(checkout: Project, what: str) -> None:
    """Else a revision is compared as it was in other surroundings."""
    saved = json.loads(checkout.run("plan", "--json", "-o", "saved").out) or {}
    assert saved
    args = ("saved", "HEAD", "--params", "more.toml", "-v")
    before = _until_kept(checkout, *args)
    CHANGES[what](checkout)
    now = checkout.run("diff", *args)
    assert now == checkout.run("diff", *args, OFF)
    assert now.out != before.out, "the test needs a change that counts"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("os.stat(__file__)", "asks when a file of the revision was written"),
        ("(HERE / '.git').read_bytes()", "where git keeps the checkout"),
        ("import subprocess; subprocess.run(['git', 'describe'])", "starts a process"),
        ("import time; time.time()", "reads the clock"),
    ],
)
def test_what_no_commit_tells_is_loaded_each_time(checkout: Project, line: str, why: str) -> None:
    """Else what differs in each checkout is taken for what a commit says."""
    checkout.pipeline(f"{PIPELINE}\n{line}\n")
    _commit(checkout)
    for _ in range(4):
        assert checkout.run("diff", "HEAD", "HEAD").code == 0
        assert _loads(checkout) == 1
    assert why in checkout.run("doctor").out


def test_steps_that_tell_where_they_are_declared_are_never_kept(checkout: Project) -> None:
    """Else a revision is compared with the place of an earlier checkout among its attributes."""
    checkout.pipeline(PIPELINE.replace('"scale": os.environ.get("SCALE")', '"here": str(HERE)'))
    _commit(checkout)
    for _ in range(4):
        assert checkout.run("diff", "HEAD").out.startswith("  ~ changed")
        assert _loads(checkout)


def test_a_commit_is_another_one_after_each_change(checkout: Project) -> None:
    _until_kept(checkout, "HEAD")
    checkout.write("helper.py", "FACTOR = 5\n")
    _commit(checkout)
    for args in (["HEAD"], ["HEAD~1"], ["HEAD~1", "HEAD"]):
        for _ in range(3):
            assert checkout.run("diff", *args) == checkout.run("diff", *args, OFF)


def test_what_is_damaged_counts_as_none(checkout: Project) -> None:
    expected = _until_kept(checkout, "HEAD")
    for path in (checkout.root / ".marin-build" / "analyses").iterdir():
        was = path.read_bytes()
        for broken in (b"", was[:-1], was.replace(b"total", b"TOTAL"), b"[]", b"\0" * 99):
            path.write_bytes(broken)
            assert checkout.run("diff", "HEAD") == expected, path.name
            path.write_bytes(was)
