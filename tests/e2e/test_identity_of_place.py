"""One pipeline is the same targets from everywhere: command line, Python, installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from .support import PROGRAM, Project

if TYPE_CHECKING:
    from collections.abc import Mapping

PIPELINE = """\
from pathlib import Path

from marin_build import command, source, step

from .shared import LIMIT


@step(code="rebuild")
def words(output: Path, text: Path, limit: int = LIMIT) -> None:
    (output / "words.txt").write_text("".join(text.read_text().split()[:limit]))


text = source("conf/text.txt")
found = words(text=text)
shown = command(["cp", "{words}/words.txt", "{output}"], name="shown", deps={"words": found})
"""
BY_PYTHON = """\
import json, sys
from acme import daily
steps = [daily.found, daily.shown]
print(json.dumps([[s.target_id, s.fingerprint, s.output_path] for s in steps]))
"""


class Place(NamedTuple):
    """A project that holds the package `acme`, and folders to start programs in."""

    project: Path
    package: Path
    sources: Path
    folders: list[Path | str]


@pytest.fixture(params=["flat", "src"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A project of either layout; the folder above has a marker, too, and another name."""
    project = tmp_path / "above" / "project"
    sources = project / ("src" if request.param == "src" else ".")
    package = sources / "acme"
    (package / "conf").mkdir(parents=True)
    (tmp_path / "above" / ".git").mkdir()
    (tmp_path / "unrelated").mkdir()
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
        "[project]\nname = 'acme'\nversion = '1'\n"
    )
    (package / "__init__.py").touch()
    (package / "shared.py").write_text("LIMIT = 3\n")
    (package / "daily.py").write_text(PIPELINE)
    (package / "conf/text.txt").write_text("one two three four")
    folders: list[Path | str] = [project, package, tmp_path / "above", tmp_path / "unrelated", "/"]
    return Place(project, package, sources, folders)


def by_command_line(
    project: Path | str, cwd: Path | str, named: str, environ: Mapping[str, str] | None = None
) -> list[list[str]]:
    """Plan in a fork; where PYTHONPATH is set, in a process of its own."""
    here = Project(Path(cwd), Path(cwd), dict(environ or {}))
    try:
        done = here.run("plan", "-f", named, "--json")
    finally:
        here.clean_up()
    assert done.code == 0, done.err
    document = done.document
    return [
        [d["target"], d["fingerprint"], os.path.join(project, d["output_path"])]
        for d in document["decisions"]
    ]


def by_python(cwd: Path | str, path: Path, code: str = BY_PYTHON) -> list[list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(path)!r})\n{code}"],
        cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_one_pipeline_from_five_places_is_one(place: Place) -> None:
    """Else what the command line built is built again by a notebook, or by a colleague."""
    file = str(place.package / "daily.py")
    first = by_command_line(place.project, place.project, "acme.daily")
    assert first[0][2].startswith(f"{place.project}/.marin-build/outputs/words_")
    for cwd in place.folders:
        assert by_command_line(place.project, cwd, file) == first, f"by its path in {cwd}"
        assert by_python(cwd, place.sources) == first, f"imported in {cwd}"
    for cwd in place.folders[:2]:  # elsewhere the module is not on the path
        assert by_command_line(place.project, cwd, "acme.daily") == first, f"by its name in {cwd}"


RUN = """\
import json
from marin_build import StepRunner
from acme import daily
StepRunner().run([daily.shown])
print(json.dumps([]))
"""


def test_what_python_built_elsewhere_is_reused_by_the_command_line(place: Place) -> None:
    """Else the outputs of a program lie below the folder it was started in."""
    by_python(place.folders[3], place.sources, RUN)
    done = subprocess.run(
        [PROGRAM, "apply", "-f", place.package / "daily.py"],
        cwd="/", capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.startswith("nothing to do: 2 targets are reused\n")
    assert not done.stderr


def test_a_project_that_is_named_goes_before_the_file_s(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARIN_BUILD_PROJECT", str(place.folders[2]))
    outputs = f"{place.folders[2]}/.marin-build/outputs/"
    assert all(path.startswith(outputs) for *_, path in by_python("/", place.sources))


def test_an_installed_pipeline_is_the_same_from_everywhere(place: Place, tmp_path: Path) -> None:
    """Its sources are files of its package, named as in a checkout without `src/`.

    Its outputs belong to the project of who runs it: nobody keeps data among installed packages.
    What is different once it is installed: its code counts by name, even with `code="rebuild"`.
    """
    pipeline = place.package / "daily.py"
    pipeline.write_text(PIPELINE.replace('@step(code="rebuild")', "@step"))
    checkout = [each[:2] for each in by_python("/", place.sources)]
    how = "--target" if place.sources == place.project else "--prefix"  # each of both once
    packages = installed(place, tmp_path / "environment", how)
    for cwd in (place.project, "/"):
        outputs = f"{str(cwd).rstrip('/')}/.marin-build/outputs/"
        by_name = by_command_line(cwd, cwd, "acme.daily", {"PYTHONPATH": str(packages)})
        assert by_name == by_python(cwd, packages)
        assert all(path.startswith(outputs) for *_, path in by_name)
    assert by_name == by_command_line("/", "/", str(packages / "acme/daily.py"))
    if place.sources == place.project:
        assert [each[:2] for each in by_name] == checkout
    else:
        assert '"source:acme/conf/text.txt"' in payload_of_first("/", packages)


def installed(place: Place, folder: Path, how: str) -> Path:
    """Install the project; return the folder of packages. The checkout is gone then."""
    words = ["install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", *words, how, folder, place.project], check=True)
    place.package.rename(folder / "away")
    (found,) = folder.rglob("acme")
    return found.parent


def payload_of_first(cwd: Path | str, path: Path) -> str:
    code = "import json; from acme import daily; print(json.dumps(daily.found.payload))"
    return str(by_python(cwd, path, code))
