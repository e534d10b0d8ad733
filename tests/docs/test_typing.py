"""What users write passes their type checkers: the documented ways, and every page's examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from marin_build.operations.checks.init import write_first_pipeline
from marin_build.pipeline.load import load_pipeline
from marin_build.workspace.workspace import Workspace

from .pages import CHECKOUT, PAGES, File, parts_of

DOCUMENTED = CHECKOUT / "tests" / "data" / "typing" / "pipeline.py"
MARINS = re.compile(r"^(?:from|import) (?:marin|fray|rigging)\b", re.MULTILINE)
"""Files that import Marin's names: these are there only while marin-build loads the file."""
WRONG = """\
from pathlib import Path

from marin_build import StepSpec, command, step


@step
def words(output: Path, text: str) -> int:
    return 1


words(text=3)
words(txt="a")
words()
step(words, nam="x")
words.options(retry=1)
command("ls", name="x", dep={})
StepSpec(name="x", deps=[words])
"""
"""Each of its last lines is a mistake that a checker must see: else all types are `Any`."""


@pytest.fixture(scope="module")
def user_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with all files; those of a page are called after it, to be told apart."""
    folder = tmp_path_factory.mktemp("typing")
    for page in PAGES:
        name = page.stem.replace("-", "_").lower()
        for part in parts_of(page):
            if (
                isinstance(part, File)
                and part.path.endswith(".py")
                and not MARINS.search(part.text)
            ):
                inside = Path(part.path)
                is_module = len(inside.parts) == 1 or inside.name == "pipeline.py"
                path = folder / (
                    f"{name}_{inside.as_posix().replace('/', '_')}" if is_module else inside
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(part.text, encoding="utf-8")
    (folder / "documented.py").write_bytes(DOCUMENTED.read_bytes())
    write_first_pipeline(str(folder))
    (folder / "pipeline.py").rename(folder / "written_by_init.py")
    (folder / "wrong.py").write_text(WRONG, encoding="utf-8")
    assert len(list(folder.rglob("*.py"))) > 20
    return folder


def _said_about(lines: list[str]) -> tuple[list[str], set[int]]:
    """Return what is said about right files, and the lines of the wrong one."""
    right = [line for line in lines if not line.startswith("wrong.py:")]
    return right, {int(line.split(":")[1]) for line in lines if line.startswith("wrong.py:")}


def test_what_the_checkers_accept_can_be_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the types promise what the program refuses."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "documented", sys)  # so that it is taken away afterwards
    file = tmp_path / "documented.py"
    file.write_bytes(DOCUMENTED.read_bytes())
    (tmp_path / "a.txt").touch()
    pipeline = load_pipeline(str(file), Workspace(str(tmp_path), str(tmp_path / "out")), {})
    assert len({step.fingerprint for step in pipeline.roots}) == len(pipeline.roots)
    made = sys.modules["documented"]
    assert [step.name for step in made.listed()] == ["words", "vocab"]


MISTAKES = set(range(WRONG.splitlines().index("words(text=3)") + 1, len(WRONG.splitlines()) + 1))


def test_mypy_accepts_what_users_write(user_files: Path) -> None:
    """Else a user of mypy puts `# type: ignore` on each step, and finds no mistake any more."""
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context",
            "--config-file=", f"--cache-dir={CHECKOUT / '.mypy_cache' / 'users'}", ".",
        ],
        cwd=user_files, capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert _said_about(lines) == ([], MISTAKES), done.stdout + done.stderr


def test_pyright_accepts_what_users_write(user_files: Path) -> None:
    """Else an editor underlines what the documentation shows."""
    pytest.importorskip("basedpyright")
    settings = {"typeCheckingMode": "standard", "extraPaths": [str(CHECKOUT)]}
    (user_files / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [
            sys.executable, "-m", "basedpyright", "-p", ".", "--pythonpath", sys.executable,
            "--outputjson",
        ],
        cwd=user_files, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [
        f"{Path(each['file']).relative_to(user_files)}:{each['range']['start']['line'] + 1}:"
        f" {each['message']}"
        for each in json.loads(done.stdout)["generalDiagnostics"]
        if each["severity"] == "error"
    ]
    assert _said_about(found) == ([], MISTAKES), "\n".join(found)
