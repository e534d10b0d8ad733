"""Which words of a command name scripts of the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.pipeline.command import Command
from marin_build.pipeline.command_scripts import scripts_of
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    project = tmp_path / "project"
    (project / "tools" / "pkg").mkdir(parents=True)
    for name in ("train.py", "run.sh", "data.txt", "tools/a.awk", "tools/pkg/__main__.py", "bin"):
        (project / name).write_text("")
    (project / "bin").chmod(0o755)
    (tmp_path / "outside.py").write_text("")
    with in_workspace(Workspace(str(project), str(tmp_path / "out"))):
        yield project


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (("python", "train.py", "--out", "{output}"), ["train.py"]),
        (("./train.py", "train.py", "tools/../train.py"), ["train.py"]),
        (("./bin", "data.txt", "missing.py", "tools", ""), ["bin"]),
        (("python", "../outside.py"), []),
        (("python", "-m", "train"), ["train.py"]),
        (("python", "-m", "tools.pkg"), ["tools/pkg/__main__.py"]),
        (("python", "-m", "json.tool"), []),
        ("bash run.sh && awk -f 'tools/a.awk' data.txt > {output}/x", ["run.sh", "tools/a.awk"]),
        ("(./run.sh;python train.py)|cat", ["run.sh", "train.py"]),
        ("cat <train.py", ["train.py"]),
        ("it's not closed; python train.py", ["train.py"]),
    ],
)
def test_scripts_of_a_command(folder: Path, text: str | tuple[str, ...], names: list[str]) -> None:
    """Else a script edited while it runs leaves an output that two versions made."""
    assert scripts_of(Command(text)) == tuple(str(folder / name) for name in names)
