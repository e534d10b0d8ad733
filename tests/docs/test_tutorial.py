"""Every command the documentation shows is run, page by page, and prints what the page says."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.resident import resident_for
from tests.e2e.support import PROGRAM, copy_examples

from .pages import PAGES, Command, File, matches, page_name, parts_of

if TYPE_CHECKING:
    from pathlib import Path

RUN_PAGES = [page for page in PAGES if any(isinstance(part, Command) for part in parts_of(page))]
MUST_RUN = {"README.md", "docs/tutorial.md", "docs/getting-started.md"}


def test_the_pages_for_newcomers_are_among_those_that_are_run() -> None:
    assert {page_name(page) for page in RUN_PAGES} >= MUST_RUN


@pytest.mark.parametrize("page", RUN_PAGES, ids=page_name)
def test_the_commands_of_a_page_print_what_it_says(page: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    copy_examples(project)
    (project / "marin-build.toml").touch()  # the project begins here, wherever that is
    for part in parts_of(page):
        match part:
            case File(path=path, text=text):
                (project / path).parent.mkdir(parents=True, exist_ok=True)
                (project / path).write_text(text, encoding="utf-8")
            case Command(line=line, text=text, expected=expected):
                got = _run(text, project)
                _seem_quick(project)
                assert matches(expected, got), (
                    f"{page_name(page)}:{line}: $ {text}\n--- expected\n{expected}\n--- got\n{got}"
                )


def _seem_quick(project: Path) -> None:
    """Have what was built seem to have taken no time: a slow machine gets no estimates to read."""
    for path in project.rglob(".executor_info"):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["seconds"] > 1:
            path.write_text(json.dumps({**record, "seconds": 1.0}), encoding="utf-8")


def _run(command: str, project: Path) -> str:
    """Return what a command prints on both streams, without spaces at line ends."""
    environment = {
        "HOME": str(project),
        "USER": "ada",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error",
    }
    resident = resident_for(PROGRAM, environment)
    assert resident is not None
    folders = [str(resident.folder), str(PROGRAM.parent), os.environ.get("PATH", os.defpath)]
    environment["PATH"] = os.pathsep.join(folders)
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=250,
    )
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()).strip("\n")
