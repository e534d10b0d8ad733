"""A program's steps that an earlier version has built under its formula are not built again."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build import StepRunner, StepSpec
from marin_build.pipeline.formulas import NOW, TAGGED_ENUMS, Formula
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


class Mode(enum.StrEnum):
    EXACT = "exact"


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


def _steps(ran: list[str]) -> list[StepSpec]:
    def builds(name: str, dep: StepSpec | None) -> StepSpec:
        def build(output_path: str) -> None:
            ran.append(name)
            text = Path(dep.output_path, "x").read_text() if dep is not None else "42"
            Path(output_path, "x").write_text(text)

        attrs = {"mode": Mode.EXACT, "n": name}
        return StepSpec(name, deps=[dep] if dep is not None else [], hash_attrs=attrs, fn=build)

    first = builds("first", None)
    return [first, builds("second", first)]


def _leave_built(formula: Formula) -> None:
    """Leave the output of the first step as it was built under a formula."""
    first = _steps([])[0]
    first.use_formula(formula)
    folder = Path(first.output_path)
    folder.mkdir(parents=True)
    (folder / "x").write_text("of before")
    (folder / ".executor_status").write_text("SUCCESS")


@pytest.mark.parametrize("formula", [NOW, TAGGED_ENUMS])
def test_what_is_built_is_read_where_it_lies(formula: Formula) -> None:
    """Else the first run after an update trains again what was trained."""
    _leave_built(formula)
    ran: list[str] = []
    steps = _steps(ran)
    StepRunner().run(iter(steps))  # one after the other, as a generator gives them
    assert ran == ["second"]
    assert Path(steps[1].output_path, "x").read_text() == "of before"


def test_a_path_that_the_program_knows_stays() -> None:
    """It may have handed the path on, and cannot be loaded again as a pipeline is."""
    _leave_built(TAGGED_ENUMS)
    ran: list[str] = []
    steps = _steps(ran)
    asked = steps[0].output_path
    StepRunner().run(steps)
    assert ran == ["first", "second"]
    assert steps[0].output_path == asked
