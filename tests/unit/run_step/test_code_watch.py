"""Scripts and functions that change while a run runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec, command, source
from marin_build.run_step.code_watch import CodeWatch, look_at_code
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from marin_build.pipeline.targets import Targets


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "train.py").write_text("print(1)\n")
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda _script: None, ""),
        (lambda script: os.utime(script, (1, 1)), ""),
        (lambda script: script.write_text("print(1)\n"), ""),
        (lambda script: script.write_text("print(2)\n"), "`train.py`"),
        (lambda script: script.unlink(), "`train.py`"),
    ],
)
def test_a_script_that_changes(
    folder: Path, change: Callable[[Path], object], changed: str
) -> None:
    """Else an output that two versions of a script made is committed."""
    code = look_at_code(command(["python", "train.py", "{output}"], name="train"))
    change(folder / "train.py")
    assert code.changed() == changed


def test_what_is_declared_is_checked_as_an_input(folder: Path) -> None:
    script = source(str(folder / "train.py"))
    code = look_at_code(command(["python", "train.py", "{s}"], name="train", inputs={"s": script}))
    (folder / "train.py").write_text("")
    assert code.changed() == ""


@pytest.mark.parametrize(
    ("policy", "changed"),
    [("ignore", ""), ("report", "`train.py`"), ("rebuild", "`train.py`"), (None, "`train.py`")],
)
def test_code_that_the_author_ignores_may_change(
    make: Callable[..., Targets], folder: Path, policy: str | None, changed: str
) -> None:
    step = command(["python", "train.py"], name="train", code=policy)  # type: ignore[arg-type]
    watch = CodeWatch(make(step), [0])
    (folder / "train.py").write_text("")
    assert watch.changed(0) == changed


def test_a_step_that_nothing_builds_has_no_code(make: Callable[..., Targets]) -> None:
    assert CodeWatch(make(StepSpec(name="s")), [0]).changed(0) == ""
